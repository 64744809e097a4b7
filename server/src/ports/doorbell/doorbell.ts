/** What may have changed: there may be due tasks, or the catalogue is another. */
export type Bell = 'tasks' | 'catalogue'

/**
 * Tells others to look now rather than at their next regular look. It carries no content and promises nothing: a ring
 * may be lost, doubled or come too early, and nothing but time is lost.
 */
export interface Doorbell {
  /** Never throws and never waits. Call it after the commit of what there is to see. */
  ring(bell: Bell): void
  /** Returns how to stop listening. */
  onRing(bell: Bell, listener: () => void): () => void
  close(): Promise<void>
}
