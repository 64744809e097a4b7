import type { Readable } from 'node:stream'

/** What is known of a stored object without reading it. */
export interface ObjectInfo {
  key: string
  sizeBytes: number
  modifiedAt: Date
}

/** Storing one file takes less, however large it is and slow the line: what is older and unfinished was left by the dead. */
export const LONGEST_PUT_MS = 48 * 3_600_000

/**
 * Files under names. A key is segments of `[A-Za-z0-9._-]` joined by `/`, made by us and never by a client; any other
 * key is a programming error and throws. Objects are written whole and never changed: a reader sees all of one or
 * nothing. Left out on purpose: rename, append, permissions, URLs (see `storage/`).
 */
export interface ObjectStore {
  /**
   * Stores the file at `path`, which stays the caller's to remove but must not be written to any more. Durable once
   * resolved. Storing the same key again replaces it, so it may be repeated. Throws `disk_full` or `unavailable`, and
   * the signal's reason soon after it is aborted: then the object may be there or not.
   */
  putFile(key: string, path: string, signal?: AbortSignal): Promise<void>
  find(key: string): Promise<ObjectInfo | null>
  /**
   * Bytes `start` to `end`, both included, or all. The caller consumes or destroys the stream.
   * Throws `not_found`.
   */
  read(key: string, range?: { start: number; end: number }): Promise<Readable>
  /**
   * A path where the whole object can be read: in place if the store is local, else a copy in `workDir`.
   * The caller never writes to it. Throws `not_found`, and the signal's reason soon after it is aborted.
   */
  asLocalFile(key: string, workDir: string, signal?: AbortSignal): Promise<string>
  /** May be repeated; absent objects are fine. */
  delete(key: string): Promise<void>
  /** All objects whose key begins with `prefix`, in no order. */
  list(prefix: string): AsyncIterable<ObjectInfo>
  /** Throws `unavailable` or `misconfigured` when writing would fail now. */
  check(): Promise<void>
}

const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/

export function isKey(text: string): boolean {
  return KEY.test(text)
}

export function assertKey(key: string): void {
  if (!isKey(key)) throw new Error(`not an object key: ${JSON.stringify(key)}`)
}
