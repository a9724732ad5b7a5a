import assert from "node:assert/strict";
import { ClientAddresses } from "./client_address.ts";

Deno.test("a client's address is what the last trusted proxy has seen", () => {
  const addresses = new ClientAddresses(["10.0.0.0/8", "2001:db8::1"]);
  assert.equal(addresses.of("203.0.113.5", null), "203.0.113.5");
  assert.equal(
    addresses.of("203.0.113.5", "1.2.3.4"),
    "203.0.113.5",
    "who is not trusted tells nothing",
  );
  assert.equal(addresses.of("10.0.0.1", "1.2.3.4"), "1.2.3.4");
  assert.equal(
    addresses.of("10.0.0.1", "9.9.9.9, 1.2.3.4, 10.0.0.2"),
    "1.2.3.4",
  );
  assert.equal(addresses.of("2001:db8::1", "1.2.3.4"), "1.2.3.4");
  assert.equal(addresses.of("::ffff:10.0.0.1", "::ffff:1.2.3.4"), "1.2.3.4");
  assert.equal(addresses.of("10.0.0.1", "nonsense"), "nonsense");
});

Deno.test("who calls from this machine without naming anybody has no address", () => {
  const addresses = new ClientAddresses([]);
  for (const peer of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(addresses.of(peer, null), null);
    assert.equal(addresses.of(peer, "1.2.3.4"), "1.2.3.4");
  }
});

Deno.test("of IPv6 the network counts that one client has to itself", () => {
  const addresses = new ClientAddresses([]);
  assert.equal(addresses.of("2001:db8:1:2:3:4:5:6", null), "2001:db8:1:2");
  assert.equal(addresses.of("2001:db8:1:2::9", null), "2001:db8:1:2");
  assert.equal(addresses.of("2001:0DB8:1::9", null), "2001:db8:1:0");
  assert.equal(addresses.of("fe80::1", null), "fe80:0:0:0");
});

Deno.test("a trusted proxy that is no address is named", () => {
  for (const name of ["example.com", "10.0.0.0/33", "10.0.0.0/x", ""]) {
    assert.throws(() => new ClientAddresses([name]), /is no trusted proxy/);
  }
});
