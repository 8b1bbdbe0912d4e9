import { isUtf8 } from 'node:buffer'
import { isObject } from '../shared/json.ts'
import type { Answer, AnswerBody } from './call.ts'

function read({ body }: Answer): AnswerBody {
  // Other bytes would not come out as they went in.
  if (!isUtf8(body)) return { unreadable: 'HighLevel’s answer is not UTF-8' }
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message repeats a piece of the record, so it is not kept.
    return { unreadable: 'HighLevel’s answer is not whole JSON' }
  }
  return isObject(value) ? { text, object: value } : { unreadable: 'HighLevel’s answer is no JSON object' }
}

/** Parsed once: an answer is held against its call before anything else is made of it. */
export const bodyOf = (answer: Answer): AnswerBody => {
  answer.read ??= read(answer)
  return answer.read
}
