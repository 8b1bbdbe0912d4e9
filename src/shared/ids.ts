/** The ids that this service accepts, HighLevel's among them: safe in a path and in a log line. */
export const ID = /^[A-Za-z0-9_-]{1,64}$/
