import { newId } from '../ports/ids.ts'

/**
 * What an object is called that a store is tried with: as those of a video 0, which there is not. So what a killed process
 * leaves of it is an orphan, which the sweep removes.
 */
export const probeKeys = {
  originals: newId,
  work: (): string => `0/0/0-0/${newId()}`,
  media: (): string => `videos/0/0-0-0/${newId()}`,
}
