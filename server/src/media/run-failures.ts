import { MediaFailure } from './failure.ts'

/** How a run of a media tool can fail, whatever the film: each with its sentence. */

const SECOND = 1000

export function toolMissing(detail: string): MediaFailure {
  const sentence = 'A media tool could not be started. Try again when it has been installed.'
  return new MediaFailure('tool_missing', sentence, detail)
}

export function timedOut(limitMs: number): MediaFailure {
  const minutes = Math.max(1, Math.round(limitMs / SECOND / 60))
  const sentence = `Processing took longer than the ${minutes} min allowed. Try again, or upload a shorter or smaller version.`
  return new MediaFailure('timed_out', sentence)
}

export function stalled(stallMs: number): MediaFailure {
  const seconds = Math.round(stallMs / SECOND)
  return new MediaFailure('stalled', `Processing stood still for ${seconds} s. Try again.`)
}

export function crashed(signalName: string, detail: string): MediaFailure {
  const sentence = 'The media tool crashed on this file. If it happens again, convert the film.'
  return new MediaFailure('encoder_crashed', sentence, `${signalName}: ${detail}`)
}

export function diskFull(detail: string): MediaFailure {
  const sentence = 'The disk became full while processing. Free some space, then try again.'
  return new MediaFailure('disk_full', sentence, detail)
}

export function outOfMemory(detail: string): MediaFailure {
  const sentence = 'Processing ran out of memory. Try again when the machine is less busy.'
  return new MediaFailure('out_of_memory', sentence, detail)
}

export function tooManyStreams(detail: string): MediaFailure {
  const sentence = 'The file has too many streams. Keep those you need, then upload it again.'
  return new MediaFailure('unsupported_format', sentence, detail)
}

export function outgrown(detail: string): MediaFailure {
  const sentence =
    'The converted film grew far beyond what its length allows. Repair the film’s timestamps, or export it again.'
  return new MediaFailure('verification_failed', sentence, detail)
}

export function damaged(detail: string): MediaFailure {
  const sentence =
    'The film is damaged in too many places. Check that it plays, or export it again.'
  return new MediaFailure('undecodable', sentence, detail)
}

export function endless(): MediaFailure {
  return new MediaFailure('not_a_video', 'The file describes itself without end.')
}
