import { find, formatBytes, formatLeft, setText } from './admin-dom.js'

/** Shows how far an upload is: bytes become a bar and a sentence. */
export function meter(item, size) {
  const bar = find('progress', item)
  const now = find('.now', item)
  bar.setAttribute('aria-label', `Upload of ${item.getAttribute('aria-label')}`)
  let [since, from] = [0, 0]
  return {
    progress(bytes) {
      bar.value = bytes / size
      const time = performance.now()
      if (since === 0 || bytes < from) [since, from] = [time, bytes]
      const speed = (bytes - from) / ((time - since) / 1000)
      const parts = [`${Math.floor((100 * bytes) / size)} %`]
      if (bytes >= size) parts.push('checking')
      else if (time - since > 1000 && speed > 0) {
        parts.push(`${formatBytes(speed)}/s`, formatLeft((size - bytes) / speed))
      }
      setText(now, parts.join(' · '))
    },
    waiting(seconds) {
      since = 0
      setText(now, `No connection. It goes on by itself, next try in ${seconds} s.`)
    },
  }
}
