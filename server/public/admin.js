/** The administration page: who is signed in, and which part of the page they see. */
import { listVideos, session, signIn, signOut } from './admin-api.js'
import { clearErrors, find, notify, sentenceOf, showError, whileBusy } from './admin-dom.js'
import { offerFile } from './admin-upload.js'
import { reloadVideos, startVideos, stopVideos } from './admin-videos.js'
import { startWebhooks, stopWebhooks } from './admin-webhooks.js'

const PARTS = { signIn: find('#sign-in'), refused: find('#refused'), console: find('#console') }
const account = find('#account')

/** Shows one of the parts. */
function show(name) {
  for (const [each, node] of Object.entries(PARTS)) node.hidden = each !== name
  account.hidden = name === 'signIn'
  if (name === 'console') startVideos()
  else stopVideos()
  showView()
}

const views = [...document.querySelectorAll('#views a')]

/** Films or webhooks, as the address says. */
function showView() {
  const shown = views.find((link) => link.hash === location.hash) ?? views[0]
  for (const link of views) {
    find(link.hash).hidden = link !== shown
    if (link === shown) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  if (shown.hash === '#webhooks' && !PARTS.console.hidden) startWebhooks()
  else stopWebhooks()
}
addEventListener('hashchange', showView)

/** Finds out what the session may do by trying. */
async function enter() {
  try {
    await listVideos({ page_size: 1 })
    show('console')
  } catch (error) {
    if (error.status === 403) {
      show('refused')
      find('#refused-heading').focus()
    } else if (error.status !== 401) {
      showSignIn()
      showError(PARTS.signIn, error)
    }
  }
}

function showSignIn() {
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close()
  find('#account-name').textContent = ''
  show('signIn')
  find('input', PARTS.signIn).focus()
}

let isFirst = true
session.addEventListener('lost', () => {
  if (!isFirst && PARTS.signIn.hidden) notify('Your session has ended. Please sign in again.', true)
  if (PARTS.signIn.hidden) showSignIn()
})

const form = find('form', PARTS.signIn)

/** Shows or hides the field for accounts with a second factor. */
function askForCode(isNeeded) {
  find('#otp-field').hidden = !isNeeded
  form.elements.otp.value = ''
  if (isNeeded) form.elements.otp.focus()
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void whileBusy(find('button', form), async () => {
    clearErrors(PARTS.signIn)
    const { email, password, otp, remember } = form.elements
    try {
      const profile = await signIn({
        email: email.value,
        password: password.value,
        remember: remember.checked,
        ...(otp.value.trim() && { otp: otp.value.trim() }),
      })
      password.value = ''
      askForCode(false)
      find('#account-name').textContent = profile.email
    } catch (error) {
      if (error.code?.startsWith('otp_')) askForCode(true)
      showError(PARTS.signIn, error)
      return
    }
    await enter()
    if (!PARTS.console.hidden) find('#upload-heading').focus()
  })
})

find('#sign-out').addEventListener('click', (event) => {
  whileBusy(event.currentTarget, async () => {
    await signOut()
    showSignIn()
  }).catch((error) => notify(sentenceOf(error), true))
})

const drop = find('#drop')
const choose = find('#choose')

function offer(files) {
  const items = [...files].map((file) => offerFile(file, reloadVideos))
  if (items[0]) find('input', items[0]).focus()
}

choose.addEventListener('change', () => {
  offer(choose.files)
  choose.value = ''
})
// A film that misses the field must not replace the page.
for (const name of ['dragover', 'drop']) {
  addEventListener(name, (event) => event.preventDefault())
}
drop.addEventListener('dragover', () => drop.classList.add('over'))
drop.addEventListener('dragleave', () => drop.classList.remove('over'))
drop.addEventListener('drop', (event) => {
  drop.classList.remove('over')
  offer(event.dataTransfer.files)
})

await enter()
isFirst = false
