/** The values that documents, arguments and results are made of (http-api 8). Missing fields are `undefined`. */
export type Value =
  | null
  | bigint
  | number
  | boolean
  | string
  | ArrayBuffer
  | Value[]
  | ValueObject;

export interface ValueObject {
  [field: string]: Value;
}
