/** Where the data of a job come from: a stored dataset, a file, or rows that are pasted. */

import { all, get, path, upload } from "../api.js";
import { fill, freshId, h } from "../dom.js";
import { ago, counted } from "../format.js";
import { dataFacts, dataProblems, dataRows, labelCounts } from "./data-view.js";
import { notice } from "./notice.js";
import { problemView } from "./problem.js";

const OPTIONS = [
  ["text_column", "Column with the texts", "text"],
  ["label_column", "Column with the labels", "label"],
  ["split_column", "Column with train, validation, test", "split, if there is one"],
  ["label_names", "Names of the labels 0, 1, 2, …", '["negative", "positive"]'],
  ["label_delimiter", "What parts several labels of a row", "|"],
  ["validation_fraction", "Share held out for validation", "0.1"],
  ["test_fraction", "Share held out for the final test", "0.1"],
];

/** Make the picker; picked(dataset) is called with what was chosen. Gives { element, choose(id) }. */
export async function datasetPicker(picked) {
  const stored = await all("/datasets", {}, 200);
  const view = h("div", { "aria-live": "polite" });
  const select = chooser(stored);
  const again = h("button", { type: "button", class: "after", hidden: true, onclick: () => send(...last) }, "Read it again");
  const options = h("details", { class: "more" }, h("summary", {}, "How to read it"), h("div", { class: "fields" }, OPTIONS.map(option)), again);
  const file = h("input", { type: "file", id: freshId(), accept: ".csv,.tsv,.json,.jsonl,.parquet,.txt" });
  const pasted = h("textarea", { id: freshId(), rows: "6", class: "mono wide-input", placeholder: "text,label\nMy parcel never came.,complaint\nWhen do you open?,question" });
  let asked = 0, last = null;
  /** Find a dataset and show it, unless another was asked for meanwhile; while there is none, no job can be sent. */
  const take = async (find) => {
    const mine = (asked += 1);
    picked(null);
    fill(view, notice("info", h("p", {}, "Reading the data …")));
    try {
      const dataset = await find();
      if (mine !== asked) return;
      select.value = dataset.id;
      fill(view, described(dataset));
      picked(dataset);
    } catch (error) {
      if (mine !== asked) return;
      select.value = "";
      options.open ||= last !== null;
      fill(view, problemView(error));
    }
  };
  const choose = async (id) => {
    if (![...select.options].some((each) => each.value === id)) select.append(h("option", { value: id }, id));
    select.value = id;
    await take(() => get(path`/datasets/${id}`));
  };
  const clear = () => {
    asked += 1;
    fill(view);
    picked(null);
  };
  const send = (content, name) => take(async () => {
    last = [content, name];
    again.hidden = false;
    const form = new FormData();
    for (const input of options.querySelectorAll("input")) if (input.value.trim()) form.append(input.name, input.value.trim());
    form.append("name", name.replace(/\.\w+$/, ""));
    form.append("file", content, name);
    const dataset = await upload("/datasets", form);
    if (![...select.options].some((each) => each.value === dataset.id)) select.options[0].after(h("option", { value: dataset.id }, labelOf(dataset)));
    return dataset;
  });
  select.addEventListener("change", () => (select.value ? choose(select.value) : clear()));
  file.addEventListener("click", () => { file.value = ""; });  // so that the same file, mended, is a change
  file.addEventListener("change", () => file.files[0] && send(file.files[0], file.files[0].name));
  const element = h("div", {},
    h("div", { class: "sources" },
      h("div", { class: "field" }, h("label", { for: file.id }, "Upload a file"), file, h("p", { class: "help small soft" }, "CSV, TSV, JSON, JSON Lines or Parquet, with a column of texts and one of labels.")),
      stored.length > 0 && h("div", { class: "field" }, h("label", { for: select.id }, "or use a dataset that is here"), select)),
    h("details", { class: "more" }, h("summary", {}, "or paste rows"),
      h("div", { class: "field" }, h("label", { for: pasted.id }, "Rows as CSV, with a line of column names"), pasted),
      h("button", { type: "button", onclick: () => pasted.value.trim() && send(new Blob([pasted.value]), "pasted.csv") }, "Use these rows")),
    options, view);
  return { element, choose };
}

function chooser(stored) {
  const unfinished = stored.map((dataset) => h("option", { value: dataset.id }, labelOf(dataset)));
  return h("select", { id: freshId() }, h("option", { value: "" }, "Choose …"), unfinished);
}

function labelOf(dataset) {
  return `${dataset.name || dataset.id.slice(0, 14)} · ${counted(dataset.rows, "row")} · ${ago(dataset.created_at)}`;
}

function option([name, title, usual]) {
  const id = freshId();
  return h("div", { class: "field" }, h("label", { for: id }, title), h("input", { id, name, placeholder: usual, autocomplete: "off", spellcheck: "false" }));
}

function described(dataset) {
  return [
    h("p", { class: "after" }, h("a", { class: "strong", href: `/ui/datasets/${dataset.id}` }, dataset.name || dataset.id), ` ${dataFacts(dataset)}`),
    dataProblems(dataset.profile),
    h("details", { class: "more" }, h("summary", {}, "Labels"), labelCounts(dataset)),
    h("details", { class: "more" }, h("summary", {}, "Rows"), dataRows(dataset, 5)),
  ];
}
