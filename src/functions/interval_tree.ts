/**
 * Intervals of index keys with their owners, and the question "whose intervals contain this key?" in
 * O(log n + hits): a treap ordered by lower end, in which every node knows the greatest upper end below it.
 * Equal intervals share a node, so a thousand owners of one interval cost one comparison to find.
 */
import type { KeyInterval } from "../database/read_set.ts";
import type { IndexKey } from "../values/index_key.ts";

/** Null: no upper end. */
type Upper = IndexKey | null;

interface Node<Owner> {
  readonly lower: IndexKey;
  readonly upper: Upper;
  readonly owners: Set<Owner>;
  /** A node's priority is at least that of its children, which keeps the expected depth logarithmic. */
  readonly priority: number;
  /** Greatest `upper` of the node and everything below it. */
  upperMax: Upper;
  left: Node<Owner> | null;
  right: Node<Owner> | null;
}

export class IntervalTree<Owner> {
  #root: Node<Owner> | null = null;
  #priorities = 0x2545f491;

  get isEmpty(): boolean {
    return this.#root === null;
  }

  add(interval: KeyInterval, owner: Owner): void {
    this.#root = this.#insert(this.#root, interval, owner);
  }

  /** Does nothing if `owner` does not have this very interval. */
  remove(interval: KeyInterval, owner: Owner): void {
    this.#root = removeFrom(this.#root, interval, owner);
  }

  /** Calls `found` for every owner of an interval that contains `key`, once for each interval. */
  forEachAt(key: IndexKey, found: (owner: Owner) => void): void {
    visit(this.#root, key, found);
  }

  #insert(node: Node<Owner> | null, interval: KeyInterval, owner: Owner): Node<Owner> {
    if (node === null) return this.#newNode(interval, owner);
    const order = compare(interval, node);
    if (order === 0) {
      node.owners.add(owner);
      return node;
    }
    if (order < 0) {
      node.left = this.#insert(node.left, interval, owner);
      if (node.left.priority > node.priority) return rotateRight(node, node.left);
    } else {
      node.right = this.#insert(node.right, interval, owner);
      if (node.right.priority > node.priority) return rotateLeft(node, node.right);
    }
    node.upperMax = greatestUpper(node);
    return node;
  }

  #newNode({ lower, upper }: KeyInterval, owner: Owner): Node<Owner> {
    // xorshift: any sequence that does not follow the keys will do, so none is taken from the environment.
    let bits = this.#priorities;
    bits ^= bits << 13;
    bits ^= bits >>> 17;
    bits ^= bits << 5;
    this.#priorities = bits;
    return {
      lower,
      upper,
      owners: new Set([owner]),
      priority: bits,
      upperMax: upper,
      left: null,
      right: null,
    };
  }
}

function visit<Owner>(
  node: Node<Owner> | null,
  key: IndexKey,
  found: (owner: Owner) => void,
): void {
  while (node !== null && endsAfter(node.upperMax, key)) {
    visit(node.left, key, found);
    if (key < node.lower) return;
    if (endsAfter(node.upper, key)) node.owners.forEach(found);
    node = node.right;
  }
}

function removeFrom<Owner>(
  node: Node<Owner> | null,
  interval: KeyInterval,
  owner: Owner,
): Node<Owner> | null {
  if (node === null) return null;
  const order = compare(interval, node);
  if (order === 0) {
    node.owners.delete(owner);
    if (node.owners.size === 0) return join(node.left, node.right);
    return node;
  }
  if (order < 0) node.left = removeFrom(node.left, interval, owner);
  else node.right = removeFrom(node.right, interval, owner);
  node.upperMax = greatestUpper(node);
  return node;
}

/** One tree of two, of which all of `left` comes before all of `right`. */
function join<Owner>(left: Node<Owner> | null, right: Node<Owner> | null): Node<Owner> | null {
  if (left === null) return right;
  if (right === null) return left;
  if (left.priority > right.priority) {
    left.right = join(left.right, right);
    left.upperMax = greatestUpper(left);
    return left;
  }
  right.left = join(left, right.left);
  right.upperMax = greatestUpper(right);
  return right;
}

function rotateRight<Owner>(node: Node<Owner>, left: Node<Owner>): Node<Owner> {
  node.left = left.right;
  left.right = node;
  node.upperMax = greatestUpper(node);
  left.upperMax = greatestUpper(left);
  return left;
}

function rotateLeft<Owner>(node: Node<Owner>, right: Node<Owner>): Node<Owner> {
  node.right = right.left;
  right.left = node;
  node.upperMax = greatestUpper(node);
  right.upperMax = greatestUpper(right);
  return right;
}

function greatestUpper<Owner>({ upper, left, right }: Node<Owner>): Upper {
  let greatest = upper;
  if (left !== null && isGreater(left.upperMax, greatest)) greatest = left.upperMax;
  if (right !== null && isGreater(right.upperMax, greatest)) greatest = right.upperMax;
  return greatest;
}

function compare(a: KeyInterval, b: KeyInterval): number {
  if (a.lower !== b.lower) return a.lower < b.lower ? -1 : 1;
  if (a.upper === b.upper) return 0;
  return isGreater(b.upper, a.upper) ? -1 : 1;
}

function isGreater(a: Upper, b: Upper): boolean {
  return b !== null && (a === null || a > b);
}

function endsAfter(upper: Upper, key: IndexKey): boolean {
  return upper === null || key < upper;
}
