// The page: one case at a time, from the worklist to the verdict.

import * as api from './api.js'
import { App } from './app.js'

const app = new App(api)
app.start().catch((error) => app.say(error.message, true))
