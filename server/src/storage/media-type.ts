/** The type of what is published, from a name that we gave it. */
export function mediaTypeOf(key: string): string {
  const [, file = ''] = /([^/]*)$/.exec(key) ?? []
  if (file.endsWith('.mp4')) return file.startsWith('audio-') ? 'audio/mp4' : 'video/mp4'
  if (file.endsWith('.jpg')) return 'image/jpeg'
  if (file.endsWith('.vtt')) return 'text/vtt; charset=utf-8'
  return 'application/octet-stream'
}
