/** Removes, if that can be done now: what is left belongs to nothing then, and the daily sweep removes it. */
export async function leaveToSweep(removal: Promise<void>): Promise<void> {
  await removal.catch(() => {})
}
