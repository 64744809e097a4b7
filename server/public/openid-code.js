/** Sends the one-time code of a sign-in that the provider has answered. */
const form = document.querySelector('#code')
const message = document.querySelector('#message')
const button = form.querySelector('button')

form.addEventListener('submit', (event) => {
  event.preventDefault()
  void send()
})

async function send() {
  button.disabled = true
  message.textContent = ''
  try {
    const reply = await fetch('/users/openid/code/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code: new FormData(form).get('code') }),
    })
    const body = await reply.json()
    if (reply.ok) return location.replace(body.redirect_to)
    tell(body.detail ?? Object.values(body).flat().join(' '))
  } catch {
    tell('The server cannot be reached. Please try again.')
  }
  form.reset()
  button.disabled = false
}

function tell(text) {
  message.className = 'bad'
  message.textContent = text
}
