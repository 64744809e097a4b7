/** Sends the new password with what the link in the mail carries. */
const form = document.querySelector('#reset')
const message = document.querySelector('#message')
const button = form.querySelector('button')
const query = new URLSearchParams(location.search.replaceAll('amp;', ''))

if (!query.get('uid') || !query.get('token')) {
  button.disabled = true
  tell('bad', 'This page needs the whole link from the mail: please open it from there.')
}

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void send()
})

async function send() {
  button.disabled = true
  tell('', '')
  let isDone = false
  try {
    const reply = await fetch('/users/reset-password/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        uid: query.get('uid'),
        token: query.get('token'),
        new_password: new FormData(form).get('new_password'),
      }),
    })
    const body = await reply.json()
    isDone = reply.ok
    const why = body.error ?? body.detail ?? Object.values(body).flat().join(' ')
    if (isDone) tell('good', 'Your password is set. You can sign in with it now.')
    else tell('bad', why)
  } catch {
    tell('bad', 'The server cannot be reached. Please try again.')
  }
  if (isDone) form.reset()
  else button.disabled = false
}

function tell(className, text) {
  message.className = className
  message.textContent = text
}
