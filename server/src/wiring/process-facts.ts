/** What only `main/` knows. */
export interface ProcessFacts {
  pid: number
  /** What there is for it and its children. */
  memoryBytes: number
  isRunning(pid: number): boolean
}
