const STALLED_MS = 60_000

/**
 * One request of an upload, by XMLHttpRequest, because fetch does not tell how much has been sent. `answerMs`: how long
 * the answer may take once all is sent; without it, any time.
 */
export function send(method, url, { headers = {}, body = null, signal, onProgress, answerMs }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    const abort = () => xhr.abort()
    let stalled
    const watch = (ms) => {
      clearTimeout(stalled)
      if (ms) stalled = setTimeout(abort, ms)
    }
    xhr.open(method, url)
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    xhr.upload.addEventListener('progress', ({ loaded }) => {
      watch(STALLED_MS)
      onProgress?.(loaded)
    })
    // From here on the other side works; how long that takes may depend on the size of the film.
    xhr.upload.addEventListener('load', () => watch(answerMs))
    xhr.addEventListener('loadend', () => {
      watch(0)
      signal?.removeEventListener('abort', abort)
      if (signal?.aborted) reject(new DOMException('Cancelled', 'AbortError'))
      else resolve(replyOf(xhr))
    })
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort)
    if (body?.size > 0) watch(STALLED_MS)
    xhr.send(body)
  })
}

/** Status 0: there was no reply. */
function replyOf(xhr) {
  return {
    status: xhr.status,
    header: (name) => xhr.getResponseHeader(name),
    json: () => {
      try {
        return JSON.parse(xhr.responseText)
      } catch {
        return null
      }
    },
  }
}
