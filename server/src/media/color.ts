import { shorterSide } from './encoding.ts'
import type { VideoStream } from './media-info.ts'

/** What has to be done to a picture's colours to be BT.709, 8 bit, limited range. */
export type ColorPlan =
  | { kind: 'sdr'; fromFullRange: boolean; fromBt601: boolean }
  | { kind: 'wide_gamut' | 'hdr'; transfer: string; fromFullRange: boolean } // from BT.2020

export function needsColorTools(video: VideoStream): boolean {
  return video.isHdr || video.colorSpace === 'bt2020nc'
}

/** `canToneMap`: ffmpeg has zscale and tonemap. */
export function colorPlan(video: VideoStream, canToneMap: boolean): ColorPlan {
  const fromFullRange = video.isFullRange
  if (canToneMap && needsColorTools(video)) {
    const transfer = video.colorTransfer ?? 'bt709'
    return { kind: video.isHdr ? 'hdr' : 'wide_gamut', transfer, fromFullRange }
  }
  return { kind: 'sdr', fromFullRange, fromBt601: isBt601(video) }
}

/** Untagged pictures are taken for what browsers take them: by their size. */
function isBt601(video: VideoStream): boolean {
  if (video.colorSpace !== null) return /^(smpte170m|bt470bg|bt470m|fcc)$/.test(video.colorSpace)
  return shorterSide({ width: video.codedWidth, height: video.codedHeight }) < 720
}
