const STALLED_MS = 60_000

/** One request of an upload, by XMLHttpRequest, because fetch does not tell how much has been sent. */
export function send(method, url, { headers, body = null, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest()
    let stalled
    const watch = () => {
      clearTimeout(stalled)
      stalled = setTimeout(() => xhr.abort(), STALLED_MS)
    }
    xhr.open(method, url)
    xhr.setRequestHeader('tus-resumable', '1.0.0')
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value)
    xhr.upload.addEventListener('progress', ({ loaded }) => {
      watch()
      onProgress?.(loaded)
    })
    // From here on the server works; how long that takes depends on the size of the film.
    xhr.upload.addEventListener('load', () => clearTimeout(stalled))
    xhr.addEventListener('loadend', () => {
      clearTimeout(stalled)
      if (signal?.aborted) reject(new DOMException('Cancelled', 'AbortError'))
      else resolve(replyOf(xhr))
    })
    signal?.addEventListener('abort', () => xhr.abort(), { once: true })
    signal?.throwIfAborted()
    if (body?.size > 0) watch()
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
