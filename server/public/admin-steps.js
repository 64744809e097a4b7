/** The steps of a video's newest source: what was done, what is going on, and what went wrong. */
import { getVideo } from './admin-api.js'
import {
  copyOf,
  copyText,
  find,
  formatLeft,
  formatTaken,
  sentenceOf,
  setText,
} from './admin-dom.js'

const STATES = { waiting: 'Waiting', running: 'In progress', done: 'Done', failed: 'Failed' }
const TITLES = {
  probe: 'Reading the file',
  copy: 'Copying the picture',
  subtitles: 'Taking out subtitles',
  encode: 'Converting',
  'encode small': 'Converting the small sizes',
}

/** `encode 3/12` and the like in words. */
export function stepTitle(name) {
  const [, part, parts] = /^encode (\d+)\/(\d+)$/.exec(name) ?? []
  if (part) return `Converting part ${part} of ${parts}`
  const [, rungs] = /^package (.+)$/.exec(name) ?? []
  return rungs ? `Packaging ${rungs}` : (TITLES[name] ?? name)
}

/** Shows steps in a `<details>`; what it does not show yet costs nothing. */
export function createSteps(node) {
  const list = find('ol', node)
  const items = new Map()
  let video = null
  node.addEventListener('toggle', fill)

  function fill() {
    if (!node.open) return
    const steps = video.source?.steps ?? []
    for (const { name } of steps) {
      if (!items.has(name))
        items.set(
          name,
          createItem(() => fetchStep(video.id, name)),
        )
    }
    for (const [name, item] of items) {
      const step = steps.find((each) => each.name === name)
      if (step) item.update(step)
      else {
        item.node.remove()
        items.delete(name)
      }
    }
    for (const [index, { name }] of steps.entries()) {
      const item = items.get(name).node
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null)
    }
  }

  return {
    update(next) {
      video = next
      const steps = video.source?.steps ?? []
      node.hidden = steps.length === 0
      setText(find('summary', node), summaryOf(steps))
      list.setAttribute('aria-label', `Steps of ${video.title}`)
      fill()
    },
  }
}

function summaryOf(steps) {
  const count = (state) => steps.filter((step) => step.state === state).length
  const failed = count('failed')
  const isAllDone = count('done') === steps.length
  return [
    isAllDone
      ? `Steps: all ${steps.length} done`
      : `Steps: ${count('done')} of ${steps.length} done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(', ')
}

/** Lists leave out the commands of steps that are done: they are many. */
async function fetchStep(videoId, name) {
  const { source } = await getVideo(videoId)
  return source?.steps.find((step) => step.name === name) ?? null
}

function createItem(fetchWhole) {
  const node = copyOf('step-template')
  const told = find('details', node)
  const copy = find('button', told)
  let attempts = 0

  told.addEventListener('toggle', async () => {
    if (!told.open) return
    try {
      const step = await fetchWhole()
      if (step) tell(told, step)
    } catch (error) {
      setText(find('.none', told), sentenceOf(error))
    }
  })
  copy.addEventListener('click', () => copyText([...told.querySelectorAll('pre:not([hidden])')]))

  return {
    node,
    update(step) {
      setText(find('.name', node), stepTitle(step.name))
      const state = find('.state', node)
      setText(state, stateOf(step))
      state.className = `state ${step.state}`
      setText(find('.facts', node), factsOf(step))
      const bar = find('progress', node)
      bar.hidden = step.state !== 'running'
      bar.value = step.percent
      bar.setAttribute('aria-label', `Progress: ${stepTitle(step.name)}`)
      fillProblem(find('.problem', node), step)
      told.hidden = step.attempts === 0
      // What another attempt did is another story.
      if (step.attempts !== attempts) told.open = false
      attempts = step.attempts
      if (told.open && step.command !== null) tell(told, step)
    },
  }
}

function stateOf({ state, error }) {
  return state === 'waiting' && error ? 'Waiting for another try' : STATES[state]
}

function factsOf({ state, percent, speed, eta_seconds, attempts, started_at, finished_at }) {
  const facts = []
  if (state === 'running') {
    facts.push(`${Math.floor(percent)} %`)
    if (speed !== null) facts.push(`${speed.toFixed(1)}× speed`)
    if (eta_seconds !== null) facts.push(formatLeft(eta_seconds))
  } else if (state === 'done' && started_at && finished_at) {
    facts.push(`took ${formatTaken(new Date(finished_at) - new Date(started_at))}`)
  }
  if (attempts > 1) facts.push(`try ${attempts}`)
  return facts.join(' · ')
}

/** The last error stays to be seen while the next attempt runs. */
function fillProblem(problem, { state, error }) {
  problem.hidden = error === null || state === 'done'
  problem.classList.toggle('bad', state === 'failed')
  setText(find('.sentence', problem), error?.message ?? '')
  setText(find('code', problem), error?.code ?? '')
}

function tell(told, { command, output }) {
  for (const [name, text] of Object.entries({ command, output })) {
    const place = find(`.${name}`, told)
    if (place.textContent === (text ?? '')) continue
    place.hidden = !text
    place.textContent = text ?? ''
    // What an output says last tells most.
    if (name === 'output') place.scrollTop = place.scrollHeight
  }
  find('button', told).hidden = !command && !output
  setText(find('.none', told), command || output ? '' : 'No command was run.')
}
