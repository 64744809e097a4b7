/** Changes as they happen: server-sent events while the page is looked at, else by asking again and again. */
const POLL_MS = 5000
const REOPEN_MS = 15_000

/**
 * `on.video(video)` and `on.deleted(id)` hear of changes; `on.reload()` is called when some may have been missed.
 * Returns how to stop.
 */
export function watchVideos(on) {
  let source = null
  let polling = null
  let reopening

  function open() {
    stop()
    if (document.hidden) return
    source = new EventSource('/admin/api/events/')
    source.addEventListener('hello', () => {
      endPolling()
      on.reload()
    })
    source.addEventListener('video', (event) => on.video(JSON.parse(event.data)))
    source.addEventListener('deleted', (event) => on.deleted(JSON.parse(event.data).id))
    source.addEventListener('error', () => {
      polling ??= setInterval(() => on.reload(), POLL_MS)
      if (source.readyState !== EventSource.CLOSED) return // It connects again by itself.
      // Refused, perhaps because the session must be renewed: asking for the list does that.
      on.reload()
      clearTimeout(reopening)
      reopening = setTimeout(open, REOPEN_MS)
    })
  }

  function endPolling() {
    clearInterval(polling)
    polling = null
  }

  function stop() {
    source?.close()
    endPolling()
    clearTimeout(reopening)
  }

  document.addEventListener('visibilitychange', open)
  open()
  return () => {
    document.removeEventListener('visibilitychange', open)
    stop()
  }
}
