import { isUtf8 } from 'node:buffer'
import { isObject } from '../shared/json.ts'
import type { Answer, AnswerBody } from './call.ts'

function read({ body }: Answer): AnswerBody {
  // Other bytes would not survive the conversion to text and back.
  if (!isUtf8(body)) return { unreadable: 'HighLevel’s answer is not UTF-8' }
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's message quotes the record, so it is dropped.
    return { unreadable: 'HighLevel’s answer is not complete JSON' }
  }
  return isObject(value) ? { text, object: value } : { unreadable: 'HighLevel’s answer is not a JSON object' }
}

/** Parses the body once: it is needed to match the answer to its call, and again to read it. */
export const parseBody = (answer: Answer): AnswerBody => {
  answer.parsedBody ??= read(answer)
  return answer.parsedBody
}
