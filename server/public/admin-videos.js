/** The list of videos: found, filtered, paged, and kept up to date. */
import { listVideos, retryVideo } from './admin-api.js'
import { find, notify, sentenceOf, setText, whileBusy } from './admin-dom.js'
import { askToDelete, chooseReplacement, edit } from './admin-dialogs.js'
import { watchVideos } from './admin-events.js'
import { play } from './admin-player.js'
import { createRow } from './admin-row.js'
import { showSubtitles } from './admin-subtitles.js'

const PAGE_SIZE = 20
const list = find('#videos')
const filter = find('#filter')
const rows = new Map()
/** State by id, of all we were told of: a new state may move a video in or out of what is shown. */
const states = new Map()
let page = 1
let asking = null
let reloading
let stopWatching = () => undefined

export function startVideos() {
  stopWatching()
  stopWatching = watchVideos({ video: onVideo, deleted: reloadSoon, reload: reloadVideos })
  void reloadVideos()
}

/** Also forgets what was shown: the next to sign in may be somebody else. */
export function stopVideos() {
  stopWatching()
  asking?.abort()
  clearTimeout(reloading)
  list.replaceChildren()
  rows.clear()
  states.clear()
}

/** Asks for the page that is shown; only the latest answer counts. */
export async function reloadVideos() {
  asking?.abort()
  const mine = (asking = new AbortController())
  try {
    const query = Object.fromEntries([...new FormData(filter)].filter(([, value]) => value !== ''))
    const found = await listVideos({ ...query, page, page_size: PAGE_SIZE }, mine.signal)
    if (mine.signal.aborted) return
    const last = Math.max(1, Math.ceil(found.count / PAGE_SIZE))
    if (page > last) return await goTo(last)
    show(found, Object.keys(query).length > 0)
  } catch (error) {
    if (error.name !== 'AbortError') notify(sentenceOf(error), true)
  }
}

function show({ results, count }, isFiltered) {
  const ids = new Set(results.map(({ id }) => id))
  for (const [id, { node }] of rows) {
    if (ids.has(id)) continue
    if (node.contains(document.activeElement)) find('#videos-heading').focus()
    node.remove()
    rows.delete(id)
  }
  for (const [index, video] of results.entries()) {
    const row = rows.get(video.id) ?? createRow(act)
    rows.set(video.id, row)
    states.set(video.id, video.processing_state)
    row.update(video)
    // A node that is in its place stays there, and keeps the focus.
    if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null)
  }
  const first = (page - 1) * PAGE_SIZE + 1
  const range = count === 0 ? '' : `${first}–${first + results.length - 1} of ${count}`
  setText(find('#range'), range)
  find('#paging').classList.toggle('idle', count <= PAGE_SIZE)
  find('#previous').disabled = page === 1
  find('#next').disabled = page * PAGE_SIZE >= count
  find('#nothing').hidden = count > 0
  setText(find('#nothing'), isFiltered ? 'No video matches.' : 'No videos yet: upload the first.')
}

function onVideo(video) {
  const before = states.get(video.id)
  const row = rows.get(video.id)
  states.set(video.id, video.processing_state)
  row?.update(video)
  if (row && before !== video.processing_state) {
    if (video.processing_state === 'ready') notify(`“${video.title}” is ready.`)
    if (video.processing_state === 'error') notify(`“${video.title}” could not be processed.`, true)
  }
  if (before !== video.processing_state) reloadSoon()
}

function reloadSoon() {
  clearTimeout(reloading)
  reloading = setTimeout(reloadVideos, 300)
}

async function goTo(number) {
  page = number
  await reloadVideos()
}

const ACTIONS = {
  play: (video) => play(video),
  edit: (video) => edit(video, reloadVideos),
  delete: (video) => askToDelete(video, reloadVideos),
  replace: (video) => chooseReplacement(video, reloadVideos),
  subtitles: (video) => showSubtitles(video),
  retry: async (video) => {
    await retryVideo(video.id)
    await reloadVideos()
  },
}

function act(name, video, button) {
  whileBusy(button, () => ACTIONS[name](video)).catch((error) => notify(sentenceOf(error), true))
}

for (const [id, step] of Object.entries({ previous: -1, next: 1 })) {
  find(`#${id}`).addEventListener('click', () => {
    // The button may be disabled next, and would take the focus away.
    find('#videos-heading').focus()
    void goTo(page + step)
  })
}

filter.addEventListener('input', () => {
  page = 1
  reloadSoon()
})
filter.addEventListener('submit', (event) => {
  event.preventDefault()
  void goTo(1)
})
