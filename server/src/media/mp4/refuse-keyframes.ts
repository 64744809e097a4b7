import { keyframeKind, readAvcConfig } from './read/keyframes.ts'
import { openSource } from './read/source-file.ts'
import type { Track } from './track.ts'
import { unpackable } from './unpackable.ts'

/**
 * Looks at the first bytes of each sample that a segment begins with: players start there with
 * nothing but the parameters of the init segment. Throws MediaFailure where one is no IDR picture.
 */
export async function refuseOtherKeyframes(
  video: Track,
  starts: number[],
  signal: AbortSignal,
): Promise<void> {
  for (const [part, { path, firstSample }] of video.parts.entries()) {
    const end = video.parts[part + 1]?.firstSample ?? video.samples.count
    const samples = starts.filter((sample) => sample >= firstSample && sample < end)
    if (samples.length > 0) await refuseIn(path, video, samples, signal)
  }
}

async function refuseIn(
  path: string,
  { entry, samples }: Track,
  starts: number[],
  signal: AbortSignal,
): Promise<void> {
  if (entry.kind !== 'video') throw unpackable('its pictures are not H.264')
  const config = readAvcConfig(entry.avcC)
  await using file = await openSource(path)
  for (const index of starts) {
    signal.throwIfAborted()
    const sample = { offset: samples.offsets[index] ?? 0, size: samples.sizes[index] ?? 0 }
    const kind = await keyframeKind(file, sample, config)
    if (kind === 'idr') continue
    const fault = {
      not_idr: 'one of its keyframes refers to pictures before it',
      foreign_parameters: 'its pictures change their format',
    }[kind]
    throw unpackable(fault, `sample ${index}`)
  }
}
