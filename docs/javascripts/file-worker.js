// A page that is opened as a file gets no workers from Chromium, and the search runs in one. An invisible frame, which
// has the page's own origin, takes its place. Nothing of this is used where the site is served.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      const inside = frame.contentWindow
      inside.postMessage = (data) => {
        this.dispatchEvent(new MessageEvent("message", { data }))
        this.onmessage?.({ data })
      }
      this.frame = frame
      this.started = new Promise((resolve, reject) => {
        const script = inside.document.createElement("script")
        script.onload = resolve
        script.onerror = reject
        script.src = url
        inside.document.body.appendChild(script)
      })
    }

    postMessage(data) {
      this.started.then(() => {
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
      })
    }

    terminate() {
      this.frame.remove()
    }
  }
}
