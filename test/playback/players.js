// Runs in a browser: players of other people on one page, asked to do the same things.

const TIMEOUT_MS = 8_000

/** Each is given a video element and URLs, notes what goes wrong, and knows its qualities by height. */
const PLAYERS = {
  async 'hls.js'(video, { hls }, errors) {
    const player = new Hls({ maxBufferLength: 60 })
    player.on(Hls.Events.ERROR, (_event, { type, details, error }) =>
      errors.push(`${type} ${details} ${error?.message ?? ''}`),
    )
    player.loadSource(hls)
    player.attachMedia(video)
    await until(() => player.levels.length > 0, 'levels')
    return {
      heights: () => player.levels.map(({ height }) => height),
      choose(height) {
        player.currentLevel = player.levels.findIndex((level) => level.height === height)
      },
      languages: () => player.audioTracks.map(({ lang }) => lang),
      speak(language) {
        player.audioTrack = player.audioTracks.findIndex(({ lang }) => lang === language)
      },
      async subtitles() {
        player.subtitleTrack = 0
        return await firstCue(video)
      },
      destroy: () => player.destroy(),
    }
  },

  async 'video.js'(video, { hls }, errors) {
    const player = videojs(video, { html5: { vhs: { overrideNative: true } } })
    player.on('error', () => errors.push(player.error().message))
    player.src({ src: hls, type: 'application/vnd.apple.mpegurl' })
    await until(() => player.tech(true)?.vhs?.representations?.().length > 1, 'representations')
    const { vhs } = player.tech(true)
    return {
      heights: () => vhs.representations().map(({ height }) => height),
      choose(height) {
        for (const each of vhs.representations()) each.enabled(each.height === height)
      },
      languages: () => [...player.audioTracks()].map(({ language }) => language),
      speak(language) {
        for (const track of player.audioTracks()) track.enabled = track.language === language
      },
      async subtitles() {
        const tracks = () => [...player.textTracks()].filter(({ kind }) => kind === 'subtitles')
        await until(() => tracks().length > 0, 'subtitles')
        tracks()[0].mode = 'showing'
        await until(() => tracks()[0].cues?.length > 0, 'cues')
        return cueOf(tracks()[0])
      },
      destroy: () => player.dispose(),
    }
  },

  'shaka-player hls': (video, { hls }, errors) => shakaPlayer(video, hls, errors),
  'shaka-player dash': (video, { dash }, errors) => shakaPlayer(video, dash, errors),

  async dashjs(video, { dash }, errors) {
    const player = dashjs.MediaPlayer().create()
    player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => errors.push(error.message))
    player.updateSettings({
      debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE },
      streaming: { buffer: { bufferTimeAtTopQuality: 60, bufferTimeDefault: 60 } },
    })
    player.initialize(video, dash, false)
    await until(() => player.isReady() && player.getActiveStream(), 'the manifest')
    await until(() => player.getRepresentationsByType('video').length > 0, 'representations')
    return {
      heights: () => player.getRepresentationsByType('video').map(({ height }) => height),
      choose(height) {
        player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } })
        const all = player.getRepresentationsByType('video')
        const { id } = all.find((each) => each.height === height)
        player.setRepresentationForTypeById('video', id, true)
      },
      languages: () => player.getTracksFor('audio').map(({ lang }) => lang),
      speak(language) {
        const tracks = player.getTracksFor('audio')
        player.setCurrentTrack(tracks.find(({ lang }) => lang === language))
      },
      async subtitles() {
        player.setTextTrack(0)
        player.enableText(true)
        return await firstCue(video)
      },
      destroy: () => player.destroy(),
    }
  },

  /** The element alone, with one rendition. */
  async native(video, { file }, errors) {
    video.addEventListener('error', () => errors.push(video.error.message))
    video.src = file
    await until(() => video.readyState > 0, 'metadata')
    return { heights: () => [], destroy: () => video.removeAttribute('src') }
  },
}

async function shakaPlayer(video, url, errors) {
  shaka.polyfill.installAll()
  const player = new shaka.Player()
  player.addEventListener('error', ({ detail }) => errors.push(`${detail.code} ${detail.data}`))
  await player.attach(video)
  player.configure({ streaming: { bufferingGoal: 60 } })
  await player.load(url)
  return {
    heights: () => [...new Set(player.getVariantTracks().map(({ height }) => height))],
    choose(height) {
      player.configure({ abr: { enabled: false } })
      const [active] = player.getVariantTracks().filter((track) => track.active)
      const wanted = player
        .getVariantTracks()
        .find((track) => track.height === height && track.language === active.language)
      player.selectVariantTrack(wanted, true)
    },
    languages: () => player.getAudioTracks().map(({ language }) => language),
    speak(language) {
      player.selectAudioTrack(player.getAudioTracks().find((track) => track.language === language))
    },
    async subtitles() {
      player.selectTextTrack(player.getTextTracks()[0])
      return await firstCue(video)
    },
    async thumbnail(seconds) {
      const [track] = player.getImageTracks()
      const { uris, positionX, positionY, width, height, startTime } = await player.getThumbnails(
        track.id,
        seconds,
      )
      const image = new Image()
      image.src = uris[0]
      await image.decode()
      const sheet = [image.naturalWidth, image.naturalHeight]
      return { place: [positionX, positionY, width, height], startTime, sheet }
    },
    destroy: () => player.destroy(),
  }
}

/** From the start to the end, with all that viewers do in between. What a player cannot do at all is left out. */
window.watch = async (name, urls) => {
  const video = document.createElement('video')
  video.muted = true
  video.setAttribute('playsinline', '')
  document.body.replaceChildren(video)
  const errors = []
  const seen = { errors }
  const player = await PLAYERS[name](video, urls, errors)
  const element = () => document.querySelector('video')
  try {
    seen.heights = player.heights().toSorted((one, other) => one - other)
    await element().play()
    await advances(element())
    seen.duration = element().duration
    await until(() => isBuffered(element()), 'the whole film')
    await seek(element(), 4)
    seen.widths = {}
    for (const height of [seen.heights.at(-1), seen.heights[0]].filter(Boolean)) {
      const width = Math.round((height * 16) / 9)
      player.choose(height)
      await until(() => element().videoWidth === width, `a picture ${width} wide`)
      seen.widths[height] = element().videoWidth
      await advances(element())
    }
    await seek(element(), 1)
    await until(() => isBuffered(element()), 'the whole film again')
    seen.languages = player.languages?.()
    if (seen.languages?.length > 1) {
      player.speak(seen.languages.at(-1))
      await advances(element())
    }
    seen.subtitles = await player.subtitles?.()
    seen.thumbnail = await player.thumbnail?.(3)
    await seek(element(), seen.duration - 1)
    await until(() => element().ended, 'the end')
    seen.endedAt = element().currentTime
    return seen
  } catch (error) {
    throw new Error(`${error.message}: ${JSON.stringify({ seen, now: stateOf(element()) })}`)
  } finally {
    await player.destroy()
  }
}

function stateOf(video) {
  const { currentTime, readyState, videoWidth, paused, seeking, duration } = video
  return { currentTime, readyState, videoWidth, paused, seeking, duration, buffered: ranges(video) }
}

function ranges({ buffered }) {
  return Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)])
}

/** In one piece, from the start to the end. */
function isBuffered(video) {
  const [[start, end] = [Infinity, 0], ...others] = ranges(video)
  return others.length === 0 && start < 0.1 && end > video.duration - 0.1
}

async function seek(video, seconds) {
  video.currentTime = seconds
  await until(() => !video.seeking, `the place at ${seconds} s`)
  if (!video.ended) await advances(video)
}

async function advances(video) {
  const from = video.currentTime
  await until(() => video.currentTime > from + 0.3 || video.ended, `time to pass after ${from} s`)
}

async function firstCue(video) {
  const tracks = () => [...video.textTracks].filter(({ cues }) => cues?.length > 0)
  await until(() => tracks().length > 0, 'cues')
  return cueOf(tracks()[0])
}

function cueOf({ cues: [{ startTime, endTime, text }] }) {
  return { startTime, endTime, text }
}

async function until(isTrue, what) {
  const deadline = Date.now() + TIMEOUT_MS
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}
