import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { isSettled } from './crowd.ts'
import type { Visitor } from './visitor.ts'

const isDoing = (step: RegExp) => (video: AdminVideo) =>
  video.source?.steps.some(({ name, state }) => state === 'running' && step.test(name)) ?? false

/** Where a film can be that was sent, as its steps tell. */
export const STAGES = {
  waiting: ({ processing_state: state }: AdminVideo) => state === 'pending',
  probing: isDoing(/^probe/),
  encoding: isDoing(/^encode/),
  packaging: isDoing(/^package/),
  publishing: (video: AdminVideo) =>
    video.source?.steps.filter(({ state }) => state !== 'done').length === 1 &&
    isDoing(/^package/)(video),
  tidying: isSettled,
} satisfies Record<string, (video: AdminVideo) => boolean>

export type Stage = keyof typeof STAGES

/** Waits for a film to come there. False: it was too fast, and is ready already. */
export async function reached(visitor: Visitor, videoId: number, stage: Stage): Promise<boolean> {
  for (;;) {
    const video = await visitor.json<AdminVideo>(`/admin/api/videos/${videoId}/`)
    if (STAGES[stage](video)) return true
    if (isSettled(video)) return false
    await pause(10)
  }
}
