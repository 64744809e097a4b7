import { needsColorTools } from './color.ts'
import type { MediaInfo } from './media-info.ts'
import type { PlanOptions } from './plan.ts'
import { inspectTools, type MediaTools } from './tools.ts'

/** What a plan depends on besides the source: settings, and what the installed ffmpeg can do. */
export async function planOptions(
  tools: MediaTools,
  { video }: MediaInfo,
  given: Partial<PlanOptions> = {},
): Promise<PlanOptions> {
  return {
    mayCopy: true,
    chunkMinDurationMs: Infinity,
    canToneMap: needsColorTools(video) && (await inspectTools(tools)).canToneMap,
    ...given,
  }
}
