/** Why a source did not become a video. Stored beside it, so a name is never given a new meaning. */
export type FailureReason =
  // the file is at fault: sending the same bytes again changes nothing
  | 'empty_file'
  | 'not_a_video'
  | 'no_video_stream'
  | 'still_picture'
  | 'unsupported_format'
  | 'unsupported_codec'
  | 'truncated'
  | 'too_small_picture'
  | 'too_large_picture'
  | 'too_long'
  | 'broken_timestamps'
  | 'undecodable'
  | 'verification_failed'
  // the machine is at fault: another attempt may succeed
  | 'timed_out'
  | 'stalled'
  | 'encoder_crashed'
  | 'out_of_memory'
  | 'disk_full'
  | 'tool_missing'

const TRANSIENT: ReadonlySet<FailureReason> = new Set<FailureReason>([
  'timed_out',
  'stalled',
  'encoder_crashed',
  'out_of_memory',
  'disk_full',
  'tool_missing',
])

/**
 * A source that could not be processed: an expected outcome, to be stored and shown. `sentence` is
 * for the person who uploaded it: what happened, and what to do next. It holds no path and no
 * output of ffmpeg; those are in `detail`, for the log.
 */
export class MediaFailure extends Error {
  readonly reason: FailureReason
  readonly detail: string | undefined

  constructor(reason: FailureReason, sentence: string, detail?: string) {
    super(sentence)
    this.name = 'MediaFailure'
    this.reason = reason
    this.detail = detail
  }

  get sentence(): string {
    return this.message
  }

  /** False where trying the same file again may succeed. */
  get permanent(): boolean {
    return !TRANSIENT.has(this.reason)
  }
}
