/** The player in front of the page: adaptive where the browser can do that, else a file. */
import { getPlayback, getVideo, localUrl } from './admin-api.js'
import { action, clearErrors, find, formatDuration, setText, showError } from './admin-dom.js'

const AUTOMATIC = 'Automatic'
const dialog = find('#player')
const screen = find('video', dialog)
const quality = find('select', dialog)
let film = { files: {}, hlsUrl: null }
/** Takes what plays off the screen. */
let release = () => undefined
/** Counts what was asked for: an answer that comes late is for nobody. */
let turn = 0

/** Plays what there is of a video, be it only a part of its qualities. */
export async function play({ id }) {
  const mine = (turn += 1)
  // Asked anew, because signed URLs do not last.
  const [video, playback] = await Promise.all([getVideo(id), findPlayback(id)])
  if (mine !== turn) return
  film = { files: video.converted_files, hlsUrl: playback?.hls_url ?? null }
  setText(find('#player-heading'), video.title)
  if (video.image_file) screen.poster = localUrl(video.image_file)
  offerQualities()
  offerChapters(playback?.chapters ?? [])
  clearErrors(dialog)
  dialog.showModal()
  await show(quality.value)
}

/** Films from before there were fragments have none. */
async function findPlayback(id) {
  try {
    return await getPlayback(id)
  } catch (error) {
    if (error.status === 404) return null
    throw error
  }
}

function offerQualities() {
  const names = Object.keys(film.files).toReversed()
  if (film.hlsUrl) names.unshift(AUTOMATIC)
  quality.replaceChildren(...names.map((name) => new Option(name)))
}

function offerChapters(chapters) {
  const items = chapters.map(({ start_ms, title }) => {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'quiet'
    button.textContent = `${formatDuration(start_ms)} ${title}`
    button.addEventListener('click', () => {
      screen.currentTime = start_ms / 1000
    })
    const item = document.createElement('li')
    item.append(button)
    return item
  })
  find('.chapters', dialog).replaceChildren(...items)
}

/** Goes on where the film is. */
async function show(name) {
  const mine = (turn += 1)
  const place = screen.currentTime
  const isPaused = place > 0 && screen.paused
  clearErrors(dialog)
  release()
  release = () => undefined
  if (name === AUTOMATIC) {
    const Hls = await loadHls()
    if (mine !== turn) return
    if (!Hls) return await fallBack()
    release = attachHls(Hls)
  } else screen.src = localUrl(film.files[name])
  const goOn = () => {
    if (mine === turn && place > 0) screen.currentTime = place
  }
  screen.addEventListener('loadedmetadata', goOn, { once: true })
  if (!isPaused) await screen.play().catch(() => undefined) // Then it waits for a click on its own button.
}

/** The library is large, so it comes when somebody plays. Null where the browser cannot use it. */
async function loadHls() {
  try {
    const { default: Hls } = await import('./hls/hls.min.mjs')
    return Hls.isSupported() ? Hls : null
  } catch {
    return null
  }
}

/** Returns how to end it. */
function attachHls(Hls) {
  const hls = new Hls({
    // Fragments are MP4 already: there is nothing for a worker to do.
    enableWorker: false,
    xhrSetup: (xhr, url) => xhr.open('GET', localUrl(url)),
  })
  hls.on(Hls.Events.ERROR, (_event, { fatal }) => {
    if (fatal) void fallBack()
  })
  hls.loadSource(film.hlsUrl)
  hls.attachMedia(screen)
  return () => hls.destroy()
}

/** To the best file; once, however many things go wrong. */
async function fallBack() {
  if (quality.value !== AUTOMATIC) return
  quality.options[0].remove()
  if (quality.value) await show(quality.value)
}

quality.addEventListener('change', () => void show(quality.value))
action(dialog, 'close').addEventListener('click', () => dialog.close())
dialog.addEventListener('close', () => {
  turn += 1
  release()
  release = () => undefined
  screen.pause()
  screen.removeAttribute('src')
  screen.removeAttribute('poster')
  screen.load()
})
screen.addEventListener('error', () => {
  if (!screen.hasAttribute('src')) return
  if (quality.value === AUTOMATIC) void fallBack()
  else showError(dialog, { name: 'ApiError', message: 'The film could not be played.' })
})
