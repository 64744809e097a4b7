/** A file of the original that is there and not empty. */
export interface LegacyFile {
  /** Without folders. */
  name: string
  /** Where all of it can be read: in place, or a copy in `workDir`, which is then the caller's to remove. */
  fetch(workDir: string): Promise<string>
}

/** Where the original keeps its files, which are only read. */
export interface LegacyMedia {
  /** By what a row says of it: a path, a key or a URL. Null: not there. Throws where it may not be read. */
  find(told: unknown): Promise<LegacyFile | null>
  /** In place: reading costs nothing, and they may get a second name. */
  isLocal: boolean
  close(): void
}
