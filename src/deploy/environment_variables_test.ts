import assert from "node:assert/strict";
import { changeVariables } from "./environment_variables.ts";

const set = (name: string, value: string) => ({ name, value });
const code = (code: string) => ({ code });

Deno.test("deploy-protocol §5: changes set, replace and remove variables; removing an unset one is fine", () => {
  const changes = [set("C", "3\nlines"), { name: "A", value: null }, { name: "Z", value: null }];
  assert.deepEqual(changeVariables({ A: "1", B: "2" }, [...changes, set("B", "")]), {
    B: "",
    C: "3\nlines",
  });
});

Deno.test("deploy-protocol §5: names and values have rules", () => {
  for (const name of ["1A", "A-B", "", "Ä", "A B", "__proto__ "]) {
    assert.throws(
      () => changeVariables({}, [set(name, "x")]),
      code("EnvironmentVariableNameInvalid"),
      name,
    );
  }
  const long = "A".repeat(256);
  assert.deepEqual(Object.keys(changeVariables({}, [set(long, "x")])), [long]);
  assert.throws(
    () => changeVariables({}, [set(`${long}A`, "x")]),
    code("EnvironmentVariableNameTooLong"),
  );
  changeVariables({}, [set("A", "ä".repeat(4096))]);
  assert.throws(
    () => changeVariables({}, [set("A", "ä".repeat(4097))]),
    code("EnvironmentVariableValueTooLarge"),
  );
  assert.throws(
    () => changeVariables({}, [set("CONVEX_SITE_URL", "x")]),
    code("EnvVarNameForbidden"),
  );
});

Deno.test("deploy-protocol §5: their number and total size are limited", () => {
  const many = (count: number, value: string) =>
    Array.from({ length: count }, (_, i) => set(`V${i}`, value));
  assert.equal(Object.keys(changeVariables({}, many(512, "x"))).length, 512);
  assert.throws(() => changeVariables({}, many(513, "x")), code("EnvVarLimitMet"));
  assert.throws(
    () => changeVariables({}, many(65, "x".repeat(8192))),
    code("EnvVarTotalSizeLimitMet"),
  );
});
