import { newId } from '../ports/ids.ts'

const SCRATCH = 'scratch-'

/** A name below the folder of work for what belongs to no task: what a killed process leaves there goes by its age. */
export function scratchName(purpose: string): string {
  return `${SCRATCH}${purpose}-${newId()}`
}

export function isScratch(name: string): boolean {
  return name.startsWith(SCRATCH)
}
