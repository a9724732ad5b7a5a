/** Whom a request comes from, where proxies may stand between. */
import { BlockList, isIP } from "node:net";

/** Loopback: whoever listens there beside us is one of ours. */
const ownProxies = ["127.0.0.0/8", "::1/128"];

/** Addresses that are remembered. */
const knownMax = 10_000;

/** Finds the address of the client behind the proxies that are trusted to name it. */
export class ClientAddresses {
  readonly #proxies = new BlockList();
  /** Whether an address is trusted, for those that were looked up: that takes longer than many a request. */
  readonly #known = new Map<string, boolean>();

  /**
   * `trustedProxies`: addresses and networks (`10.0.0.0/8`) besides this machine's own.
   * @throws RangeError that names the one that is neither.
   */
  constructor(trustedProxies: readonly string[]) {
    for (const network of [...ownProxies, ...trustedProxies]) {
      const [address, length] = network.split("/") as [string, string | undefined];
      const family = isIP(address);
      const bitsMax = family === 4 ? 32 : 128;
      const bits = length === undefined ? bitsMax : Number(length);
      if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > bitsMax) {
        const name = JSON.stringify(network);
        throw new RangeError(
          `${name} is no trusted proxy: name addresses (10.1.2.3) or networks (10.0.0.0/8)`,
        );
      }
      this.#proxies.addSubnet(address, bits, family === 4 ? "ipv4" : "ipv6");
    }
  }

  /**
   * What stands for the client: its address, for IPv6 the network of 64 bits that it can choose addresses from. Null:
   * it is on this machine. Of `X-Forwarded-For`, to which each proxy appends whom it heard from, the last address
   * counts that no trusted proxy has: anything before it may be invented.
   */
  of(peer: string, forwardedFor: string | null): string | null {
    const hops = forwardedFor?.split(",") ?? [];
    let client = unmapped(peer);
    while (this.#isTrusted(client)) {
      const hop = hops.pop();
      if (hop === undefined) return null;
      client = unmapped(hop.trim());
    }
    return client.includes(":") ? network64(client) : client;
  }

  #isTrusted(address: string): boolean {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const family = isIP(address);
    const isTrusted = family !== 0 &&
      this.#proxies.check(address, family === 4 ? "ipv4" : "ipv6");
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(address, isTrusted);
    return isTrusted;
  }
}

/** IPv4 as such when it comes over an IPv6 socket. */
function unmapped(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

function network64(address: string): string {
  const [head, tail] = address.split("::") as [string, string | undefined];
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  while (tail !== undefined && groups.length + rest.length < 8) groups.push("0");
  return [...groups, ...rest].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
