/**
 * What objects are called, and whose they are. No key is used twice: a source's keys have the step and the claim that
 * made them, others a random id. Folders of media may hold other things too.
 */

/** In the store of media. */
export function mediaOfVideo(videoId: number): string {
  return `videos/${videoId}/`
}

interface Attempt {
  videoId: number
  sourceId: number
  stepId: number
  /** Of the claim. */
  leaseToken: number
}

export function mediaPrefix({ videoId, sourceId, stepId, leaseToken }: Attempt): string {
  return `${mediaOfVideo(videoId)}${sourceId}-${stepId}-${leaseToken}`
}

const OF_SOURCE = /^videos\/\d{1,15}\/(\d{1,15})-\d+-\d+\/[^/]+$/

export function sourceOfMedia(key: string): number | null {
  return numberIn(OF_SOURCE.exec(key))
}

/** Uploaded ones; those inside of a source are called as its other media. */
export function subtitlesKey(videoId: number, id: string): string {
  return `${mediaOfVideo(videoId)}subtitles/${id}.vtt`
}

const OF_SUBTITLES = /^videos\/\d{1,15}\/subtitles\/[^/]+$/

export function isSubtitlesKey(key: string): boolean {
  return OF_SUBTITLES.test(key)
}

/** In the store of intermediates. */
export function intermediatesOfVideo(videoId: number): string {
  return `${videoId}/`
}

export function intermediatePrefix({ videoId, sourceId, stepId, leaseToken }: Attempt): string {
  return `${intermediatesOfVideo(videoId)}${sourceId}/${stepId}-${leaseToken}`
}

const OF_STEP = /^\d{1,15}\/(\d{1,15})\/\d+-\d+\/[^/]+$/

export function sourceOfIntermediate(key: string): number | null {
  return numberIn(OF_STEP.exec(key))
}

/** What of an upload has come beyond its last whole part. */
export function tailKey(uploadId: string, id: string): string {
  return `${tailsOfUpload(uploadId)}${id}`
}

export function tailsOfUpload(uploadId: string): string {
  return `uploads/${uploadId}/`
}

const OF_TAIL = /^uploads\/[A-Za-z0-9_-]{22}\/[^/]+$/

export function isTailKey(key: string): boolean {
  return OF_TAIL.test(key)
}

/** An original is called as its upload: 128 bits in base64url. */
const OF_UPLOAD = /^[A-Za-z0-9_-]{22}$/

export function isOriginalKey(key: string): boolean {
  return OF_UPLOAD.test(key)
}

/** In media or intermediates. */
export function videoOfKey(key: string): number | null {
  return numberIn(/^(?:videos\/)?(\d{1,15})\//.exec(key))
}

function numberIn(found: RegExpExecArray | null): number | null {
  return found?.[1] === undefined ? null : Number(found[1])
}
