import assert from "node:assert/strict";
import { npmClient, parseClientVersion, unknownClient } from "./client_version.ts";
import { defaultFormat, formatValue, parseValueFormat } from "./value_format.ts";

const encoded = JSON.stringify({
  big: { $integer: "AQAAAAAAAAA=" },
  bytes: { $bytes: "ABCD" },
  nan: { $float: "AAAAAAAA+H8=" },
  infinite: { $float: "AAAAAAAA8P8=" },
  zero: { $float: "AAAAAAAAAIA=" },
  plain: [1, 1.5, "a", null, true],
});

Deno.test("http-api rule 90: json is lossy where JSON has no form of its own", () => {
  assert.equal(
    formatValue(encoded, "json"),
    '{"big":"1","bytes":"ABCD","nan":"NaN","infinite":"-Infinity","zero":-0.0,"plain":[1,1.5,"a",null,true]}',
  );
});

Deno.test("http-api rule 91: export_json keeps integers and floats apart", () => {
  assert.equal(
    formatValue(encoded, "export_json"),
    '{"big":1,"bytes":{"$bytes":"ABCD"},"nan":{"$float":"AAAAAAAA+H8="},' +
      '"infinite":{"$float":"AAAAAAAA8P8="},"zero":-0.0,"plain":[1.0,1.5,"a",null,true]}',
  );
});

Deno.test("formatValue leaves convex_encoded_json, and values without special forms, untouched", () => {
  assert.equal(formatValue(encoded, "convex_encoded_json"), encoded);
  const text = '{"a":"contains $ but no form","b":1e21}';
  assert.equal(formatValue(text, "json"), text);
  assert.equal(formatValue('"\\"$"', "json"), '"\\"$"');
});

Deno.test("http-api rule 29: names, aliases and defaults of formats", () => {
  assert.equal(parseValueFormat("convex_clean_json"), "json");
  assert.equal(parseValueFormat("convex_json"), "convex_encoded_json");
  assert.throws(() => parseValueFormat("xml"), {
    code: "BadFormat",
    message: "format param must be one of [`json`]. Got xml",
  });
  assert.equal(defaultFormat(unknownClient), "json");
  assert.equal(defaultFormat(npmClient("1.48.0")), "json");
  assert.equal(defaultFormat(npmClient("1.4.0")), "convex_encoded_json");
  assert.equal(defaultFormat(parseClientVersion("python-0.4.0")), "convex_encoded_json");
});
