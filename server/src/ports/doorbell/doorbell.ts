/**
 * Tells workers to look for due tasks now rather than at the next sweep. It carries no content and promises nothing:
 * a ring may be lost, doubled or come too early, and nothing but time is lost.
 */
export interface Doorbell {
  /** Never throws and never waits. Call it after the transaction that wrote the task. */
  ring(): void
  /** Returns how to stop listening. */
  onRing(listener: () => void): () => void
  close(): Promise<void>
}
