export type AuditedStore = 'media' | 'originals' | 'intermediates' | 'staging' | 'multiparts'

/** What is wrong, as a fact; `repair` knows what to do about each. */
export type Problem =
  | 'missing' // a row names it, and it is not there
  | 'wrong_size' // it is there, and not as long as the row says
  | 'wrong_index' // its fragments are not where the index says
  | 'undecodable' // not all of its pictures and sound decode
  | 'found_again' // an original that was given up as lost, and is there
  | 'orphan' // it is there, and no row names it
  | 'foreign' // it has a name that we never give; left alone

export interface Finding {
  problem: Problem
  store: AuditedStore
  key: string
  /** Null for what belongs to no video. */
  videoId: number | null
  sourceId: number | null
  /** Of an object that belongs to nothing. */
  modifiedAt?: Date
  /** What the store calls an upload in parts. */
  multipartId?: string
  detail: string
}
