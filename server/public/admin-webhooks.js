/** What receivers of webhooks were sent. */
import { listDeliveries, replayDelivery, testWebhooks } from './admin-api.js'
import {
  action,
  clearErrors,
  copyOf,
  find,
  formatTime,
  notify,
  sentenceOf,
  setText,
  showError,
  whileBusy,
} from './admin-dom.js'

const PAGE_SIZE = 20
const SOON_MS = 1000
const LATER_MS = 10_000
const STATES = { pending: 'Waiting', delivered: 'Delivered', failed: 'Given up' }
const BADGES = { pending: 'processing', delivered: 'ready', failed: 'error' }
const panel = find('#webhooks')
const filter = find('form', panel)
const list = find('.deliveries', panel)
const rows = new Map()
let page = 1
let asking = null
let timer

export function startWebhooks() {
  stopWebhooks()
  void reload()
}

/** Also forgets what was shown: the next to sign in may be somebody else. */
export function stopWebhooks() {
  asking?.abort()
  clearTimeout(timer)
  list.replaceChildren()
  rows.clear()
  clearErrors(panel)
}

/** Only the latest answer counts. Asks again by itself, soon while something is on its way. */
async function reload() {
  clearTimeout(timer)
  asking?.abort()
  const mine = (asking = new AbortController())
  let isWaiting = false
  try {
    const state = filter.elements.state.value
    const query = { page, page_size: PAGE_SIZE, ...(state && { state }) }
    const found = await listDeliveries(query, mine.signal)
    if (mine.signal.aborted) return
    const last = Math.max(1, Math.ceil(found.count / PAGE_SIZE))
    if (page > last) return await goTo(last)
    show(found, state !== '')
    isWaiting = found.results.some((delivery) => delivery.state === 'pending')
  } catch (error) {
    if (error.name === 'AbortError') return
    notify(sentenceOf(error), true)
    if (error.status === 401) return
  }
  timer = setTimeout(reload, isWaiting ? SOON_MS : LATER_MS)
}

async function goTo(number) {
  page = number
  await reload()
}

function show({ results, count }, isFiltered) {
  const ids = new Set(results.map(({ id }) => id))
  for (const [id, { node }] of rows) {
    if (ids.has(id)) continue
    if (node.contains(document.activeElement)) find('#webhooks-heading').focus()
    node.remove()
    rows.delete(id)
  }
  for (const [index, delivery] of results.entries()) {
    const row = rows.get(delivery.id) ?? createRow()
    rows.set(delivery.id, row)
    row.update(delivery)
    if (list.children[index] !== row.node) list.insertBefore(row.node, list.children[index] ?? null)
  }
  const first = (page - 1) * PAGE_SIZE + 1
  const range = count === 0 ? '' : `${first}–${first + results.length - 1} of ${count}`
  setText(find('.range', panel), range)
  find('.paging', panel).classList.toggle('idle', count <= PAGE_SIZE)
  find('.previous', panel).disabled = page === 1
  find('.next', panel).disabled = page * PAGE_SIZE >= count
  find('.nothing', panel).hidden = count > 0 || !isFiltered
  find('.unused', panel).hidden = count > 0 || isFiltered
}

function createRow() {
  const node = copyOf('delivery-template')
  const replay = action(node, 'replay')
  let current = null
  replay.addEventListener('click', () => {
    whileBusy(replay, async () => {
      await replayDelivery(current.id)
      await reload()
    }).catch((error) => notify(sentenceOf(error), true))
  })
  return {
    node,
    update(delivery) {
      current = delivery
      fill(node, delivery)
    },
  }
}

function fill(node, delivery) {
  const { event, video_id: videoId, url, state, last_error: problem } = delivery
  setText(find('.event', node), event)
  setText(find('.video', node), videoId === null ? '' : `video ${videoId}`)
  setText(find('.url', node), url)
  const badge = find('.badge', node)
  setText(badge, STATES[state])
  badge.className = `badge ${BADGES[state]}`
  setText(find('.facts', node), factsOf(delivery))
  setText(find('.times', node), timesOf(delivery))
  const place = find('.problem', node)
  place.hidden = problem === null || state === 'delivered'
  setText(place, problem ?? '')
  // Hidden instead of disabled while it waits, for then it is sent anyway.
  const replay = action(node, 'replay')
  if (state === 'pending' && document.activeElement === replay) find('#webhooks-heading').focus()
  replay.hidden = state === 'pending'
  replay.setAttribute('aria-label', `Replay: ${event} to ${url}`)
}

function factsOf({ attempts, last_status: status }) {
  return [
    attempts === 1 ? '1 attempt' : `${attempts} attempts`,
    ...(status === null ? [] : [`last answer ${status}`]),
  ].join(' · ')
}

function timesOf({ created_at, delivered_at, failed_at }) {
  return [
    `Event of ${formatTime(created_at)}`,
    ...(delivered_at ? [`delivered ${formatTime(delivered_at)}`] : []),
    ...(failed_at ? [`given up ${formatTime(failed_at)}`] : []),
  ].join(' · ')
}

const sendTest = find('#send-test')
sendTest.addEventListener('click', () => {
  void whileBusy(sendTest, async () => {
    clearErrors(panel)
    try {
      const { results } = await testWebhooks()
      notify(
        `A test is on its way to ${results.length === 1 ? '1 URL' : `${results.length} URLs`}.`,
      )
      await goTo(1)
    } catch (error) {
      showError(panel, error)
    }
  })
})

for (const [name, step] of Object.entries({ previous: -1, next: 1 })) {
  find(`.${name}`, panel).addEventListener('click', () => {
    // The button may be disabled next, and would take the focus away.
    find('#webhooks-heading').focus()
    void goTo(page + step)
  })
}
filter.addEventListener('change', () => void goTo(1))
filter.addEventListener('submit', (event) => event.preventDefault())
