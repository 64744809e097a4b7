/** What the operator is told, a line each. */
export interface ImportReport {
  /** Something is not as it was, and the operator may want to know. */
  notice(text: string): void
  /** Something was not taken over. */
  leftOut(text: string): void
  progress(text: string): void
}
