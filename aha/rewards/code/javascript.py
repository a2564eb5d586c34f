"""Function calls to a JavaScript program: arguments in and values out as JSON."""

import json
import secrets
from typing import Any

from aha.rewards.code.cases import CodeTests
from aha.rewards.code.inside.wire import Encoder, refuse
from aha.rewards.code.languages import encode
from aha.rewards.code.results import of_outcome
from aha.rewards.sandbox import Limits, run

HARNESS = """
;(() => {
  const write = require("fs").writeSync;
  for (const [args, kwargs] of CALLS) {
    let line;
    try {
      const all = args.concat(Object.values(kwargs));
      const value = (typeof Solution === "function" && Solution.prototype.NAME)
        ? new Solution().NAME(...all)
        : (typeof NAME === "function" ? NAME : module.exports.NAME)(...all);
      line = {returned: value === undefined ? null : value};
    } catch (error) {
      line = {raised: String(error)};
    }
    write(1, "\\nMARK" + JSON.stringify(line) + "\\n");
  }
})();
"""


def call_all(program: str, tests: CodeTests, limits: Limits) -> list[dict[str, Any]]:
    """What the function returned for each call, in the form of `solution.call_all`."""
    mark = secrets.token_hex(8)
    calls = json.dumps([[list(call.args), dict(call.kwargs)] for call in tests.calls])
    harness = HARNESS.replace("CALLS", calls).replace("NAME", tests.function)
    source = program + harness.replace("MARK", mark)
    came = run(["node", "main.js"], files={"main.js": encode(source)}, limits=limits)
    lines: list[dict[str, Any]] = []
    for line in came.stdout.decode("utf-8", errors="replace").splitlines():
        if line.startswith(mark):
            lines.append(_read(line.removeprefix(mark)))
    failed = of_outcome(came)
    return lines if failed is None else [*lines, {"failed": failed}]


def _read(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"raised": "a result that is not JSON"}
    if "returned" in said:
        return {"value": Encoder(refuse).encode(said["returned"])}
    return {"raised": str(said.get("raised"))}
