/** What may have changed: there may be due tasks, the catalogue is another, or sessions have ended. */
export const BELLS = ['tasks', 'catalogue', 'sessions'] as const
export type Bell = (typeof BELLS)[number]

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
