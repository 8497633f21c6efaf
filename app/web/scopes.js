/** What the scopes of a key let it do, and what a key without them cannot, in words. */

export const SCOPES = [
  { name: "predict", may: "Ask versions, batch predictions of its own, feedback.", lacks: "ask versions or give feedback" },
  { name: "read", may: "Look at everything, dataset rows too.", lacks: "look at jobs, datasets, models or the system" },
  { name: "write", may: "Upload, train, promote and all else that changes something. Has read.", lacks: "upload, train, cancel or promote" },
  { name: "admin", may: "Everything, keys and deleting datasets and versions too.", lacks: "manage keys, delete datasets or versions" },
];

/** Say what a caller may not do; empty for an admin. */
export function lacking(caller) {
  return SCOPES.filter((scope) => !caller.scopes.includes(scope.name)).map((scope) => scope.lacks);
}
