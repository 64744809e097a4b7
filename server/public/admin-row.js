/** One video in the list. */
import { localUrl } from './admin-api.js'
import { action, copyOf, find, formatDuration, formatLeft, setText } from './admin-dom.js'
import { createSteps, stepTitle } from './admin-steps.js'
import { thumbHashToDataURL } from './thumbhash/thumbhash.js'

const STATES = { pending: 'Waiting', processing: 'In progress', ready: 'Ready', error: 'Failed' }

/** `act(name, video)` is called for the row's buttons. */
export function createRow(act) {
  const node = copyOf('video-template')
  const steps = createSteps(find('.steps', node))
  let current = null
  const [box, picture] = [find('.poster', node), find('img', node)]
  picture.addEventListener('load', () => (box.style.backgroundImage = ''))
  node.addEventListener('click', (event) => {
    const button = event.target.closest('[data-action]')
    if (button) act(button.dataset.action, current, button)
  })
  return {
    node,
    update(video) {
      current = video
      fill(node, video)
      steps.update(video)
    },
  }
}

function fill(node, video) {
  setText(find('.title', node), video.title)
  setText(find('.facts', node), factsOf(video))
  fillPoster(find('.poster', node), video)
  fillState(node, video)
  action(node, 'play').disabled = Object.keys(video.converted_files).length === 0
  fillRetry(node, video.source)
  for (const button of node.querySelectorAll('[data-action]')) {
    button.setAttribute('aria-label', `${button.textContent}: ${video.title}`)
  }
}

/** In front where something failed; else beside the steps, where it is not in the way. */
function fillRetry(node, source) {
  const isUrgent = source?.state === 'error' && source.is_kept
  find('.actions [data-action="retry"]', node).hidden = !isUrgent
  const again = find('.again', node)
  again.hidden = isUrgent || !['ready', 'error'].includes(source?.state)
  action(again, 'retry').disabled = source?.is_kept === false
  find('.why', again).hidden = source?.is_kept !== false
}

function factsOf({ category, duration_ms, width, height, created_at }) {
  const added = new Date(created_at).toLocaleDateString(undefined, { dateStyle: 'medium' })
  const size = width && height ? `${width} × ${height}` : null
  const length = duration_ms === null ? null : formatDuration(duration_ms)
  return [category, length, size, added].filter((fact) => fact !== null).join(' · ')
}

/** The signature in the URL changes by the hour; the picture does not, so it is not loaded again. */
function fillPoster(box, video) {
  const picture = find('img', box)
  const url = video.image_file && localUrl(video.image_file)
  const path = url?.split('?')[0] ?? ''
  if (picture.dataset.path === path) return
  picture.dataset.path = path
  picture.hidden = !url
  box.style.backgroundImage = url && video.thumb_hash ? placeholder(video.thumb_hash) : ''
  if (url) picture.src = url
  else picture.removeAttribute('src')
}

/** What the poster looks like from far away, until it is there. */
function placeholder(thumbHash) {
  const bytes = Uint8Array.from(atob(thumbHash), (character) => character.charCodeAt(0))
  return `url("${thumbHashToDataURL(bytes)}")`
}

/** A video whose file is being replaced is ready all the while; what is going on then is about the new file. */
function fillState(node, { processing_state: state, source, title }) {
  const badge = find('.badge', node)
  setText(badge, STATES[state])
  badge.className = `badge ${state}`
  const isNewFile = state === 'ready' && source !== null && source.state !== 'ready'
  setText(find('.now', node), `${isNewFile ? 'New file: ' : ''}${nowOf(source, isNewFile)}`)
  const bar = find('progress', node)
  bar.classList.toggle('idle', !source?.progress)
  bar.value = source?.progress?.percent ?? 0
  bar.setAttribute('aria-label', `Progress of ${title}`)
  const problem = find('.problem', node)
  problem.hidden = !source?.error
  setText(problem, source?.error?.message ?? '')
}

function nowOf(source, isNewFile) {
  if (source === null || source.state === 'ready') return ''
  if (source.state === 'pending') return isNewFile ? 'waits for its turn' : 'Its turn comes soon.'
  if (source.state === 'error') return isNewFile ? 'failed. The old one still plays.' : ''
  if (!source.progress) return 'Starting'
  const { step, percent, speed, eta_seconds: left, attempt } = source.progress
  // Between two steps, until a worker is free.
  const title = step === 'queued' ? 'Waiting for its turn' : stepTitle(step)
  const parts = [title, `${Math.floor(percent)} %`]
  if (left !== null && percent < 100) parts.push(formatLeft(left))
  if (speed !== null) parts.push(`${speed.toFixed(1)}× speed`)
  if (attempt > 1) parts.push(`try ${attempt}`)
  return parts.join(' · ')
}
