"""The reader of ONNX files: same answers as the whole file, tables left on the disk, anything foreign refused."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from app.serving.onnx_file import UnsafeModel, map_model
from tests.app.serving.tiny import graph, word_scores

SMALL = 64
"""Bytes from which these tests map a table."""


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def run(content: bytes, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], feed)
    return np.asarray(logits)


def a_batch() -> dict[str, np.ndarray]:
    return {
        "input_ids": np.array([[2, 4, 6, 3], [2, 5, 3, 0]], np.int64),
        "attention_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], np.int64),
    }


def initializer(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


@pytest.mark.parametrize("padding", range(4))
def test_a_mapped_table_gives_the_same_logits_wherever_it_begins(tmp_path: Path, padding: int) -> None:
    model = graph(word_scores())
    model.graph.doc_string = "x" * padding  # moves the table by single bytes
    path = write(tmp_path / "m", model)
    mapped = map_model(path, SMALL)
    assert list(mapped.tables) == ["table"]
    np.testing.assert_array_equal(mapped.tables["table"], word_scores())
    expected = run(path.read_bytes(), a_batch())
    np.testing.assert_array_equal(run(mapped.graph, a_batch() | mapped.tables), expected)
    mapped.give_back()
    np.testing.assert_array_equal(run(mapped.graph, a_batch() | mapped.tables), expected)


def test_the_graph_is_valid_and_without_the_table(tmp_path: Path) -> None:
    path = write(tmp_path / "m", graph(word_scores(rows=4096)))
    mapped = map_model(path, SMALL)
    assert mapped.mapped_bytes == 4096 * 2 * 4
    assert len(mapped.graph) < path.stat().st_size - mapped.mapped_bytes + 100
    onnx.checker.check_model(mapped.graph)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8])
def test_tables_of_every_type(tmp_path: Path, dtype: type) -> None:
    table = np.arange(200, dtype=dtype).reshape(100, 2)
    model = graph(word_scores())
    initializer(model, "table").CopyFrom(numpy_helper.from_array(table, "table"))
    cast = helper.make_node("Cast", ["raw_rows"], ["rows"], to=TensorProto.FLOAT)
    model.graph.node[0].output[0] = "raw_rows"
    model.graph.node.insert(1, cast)
    path = write(tmp_path / "m", model)
    mapped = map_model(path, SMALL)
    assert mapped.tables["table"].dtype == dtype
    np.testing.assert_array_equal(run(mapped.graph, a_batch() | mapped.tables), run(path.read_bytes(), a_batch()))


def test_a_small_table_stays_in_the_graph(tmp_path: Path) -> None:
    path = write(tmp_path / "m", graph(word_scores()))
    mapped = map_model(path)
    assert (mapped.tables, mapped.graph) == ({}, path.read_bytes())


def test_a_table_that_is_used_otherwise_too_stays_in_the_graph(tmp_path: Path) -> None:
    nodes = [
        [helper.make_node("Identity", ["table"], ["copy"])],
        [helper.make_node("Gather", ["bias", "table"], ["odd"])],
        [helper.make_node("If", ["condition"], ["inner"], then_branch=inner(), else_branch=inner())],
    ]
    for index, extra in enumerate(nodes):
        path = write(tmp_path / str(index), graph(word_scores(), nodes=extra))
        assert map_model(path, SMALL).tables == {}


def inner() -> onnx.GraphProto:
    output = helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node("Identity", ["table"], ["branch"])], "branch", [], [output])


def external(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"


def test_values_in_another_file_are_refused(tmp_path: Path) -> None:
    for name in ("table", "bias"):
        model = graph(word_scores())
        external(initializer(model, name))
        with pytest.raises(UnsafeModel, match="another file"):
            map_model(write(tmp_path / name, model))


def test_values_in_another_file_are_refused_inside_nodes_and_branches(tmp_path: Path) -> None:
    constant = numpy_helper.from_array(np.zeros(3, np.float32), "c")
    external(constant)
    node = helper.make_node("Constant", [], ["c"], value=constant)
    with pytest.raises(UnsafeModel, match="another file"):
        map_model(write(tmp_path / "node", graph(word_scores(), nodes=[node])))
    branch = inner()
    branch.initializer.append(constant)
    decision = helper.make_node("If", ["condition"], ["inner"], then_branch=branch, else_branch=inner())
    with pytest.raises(UnsafeModel, match="another file"):
        map_model(write(tmp_path / "branch", graph(word_scores(), nodes=[decision])))


def test_foreign_operators_are_refused(tmp_path: Path) -> None:
    known = helper.make_node("Gelu", ["scored"], ["x"], domain="com.microsoft")
    map_model(write(tmp_path / "known", graph(word_scores(), nodes=[known])))
    foreign = helper.make_node("Run", ["scored"], ["x"], domain="org.example")
    with pytest.raises(UnsafeModel, match="unknown domain"):
        map_model(write(tmp_path / "foreign", graph(word_scores(), nodes=[foreign])))


def test_a_shape_that_lies_is_refused(tmp_path: Path) -> None:
    model = graph(word_scores())
    initializer(model, "table").dims[0] = 1_000_000
    with pytest.raises(UnsafeModel, match="shape"):
        map_model(write(tmp_path / "m", model), SMALL)


@pytest.mark.parametrize("content", [b"", b"\0", b"not a model", b"\xff" * 100, b"PK\x03\x04", b"\x80\x04\x95"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UnsafeModel):
        map_model(tmp_path / "m")


VALID = graph(word_scores()).SerializeToString()


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_model_is_refused_or_read_but_breaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(VALID[: data.draw(st.integers(1, len(VALID)))])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        mapped = map_model(path, SMALL)
    except UnsafeModel:
        return
    for table in mapped.tables.values():
        assert table.nbytes <= len(content)
