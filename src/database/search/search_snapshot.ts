/** The full-text indexes of one snapshot, below all layers. */
import type { SearchIndex } from "../catalog.ts";

export interface SearchSnapshot {
  statistics(index: SearchIndex): SearchStatistics;
  /** Up to `limit` terms that begin with `prefix`, which is not empty, in the order of their UTF-8 bytes. */
  terms(index: SearchIndex, prefix: string, limit: number): TermCount[];
  /** The `limit` best documents, the best one first, and of equals the one created last. */
  rank(index: SearchIndex, request: RankRequest, limit: number): SearchHit[];
}

export interface SearchStatistics {
  /** Those with a text. */
  readonly documents: number;
  /** In all texts together. */
  readonly tokens: number;
}

export interface TermCount {
  readonly term: string;
  /** How many documents it occurs in. */
  readonly documents: number;
}

export interface RankRequest {
  /** Distinct; a document must have one of them. */
  readonly terms: readonly WeightedTerm[];
  /** Mean number of tokens in a text. */
  readonly averageLength: number;
  /** Digests by position of the filter field; a document must have all. */
  readonly filters: readonly { readonly field: number; readonly digest: string }[];
}

export interface WeightedTerm {
  readonly term: string;
  readonly weight: number;
}

export interface SearchHit {
  readonly id: string;
  readonly creationTime: number;
  readonly score: number;
}
