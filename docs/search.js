/* Lets the search take a message or an option as it stands: what its language of queries uses as signs are letters here,
   and in a sentence the short words, which are in every page, do not count, and the others not as beginnings of words. */
"use strict";
(() => {
  const QUERY = 2; // the theme's number for a message to its worker that holds a query
  const SENTENCE = 4, SHORT = 4; // words; letters
  const plain = (query) => {
    const words = query.replace(/[:^~*+`'()[\]{},;=<>|\\/]|(^|\s)-+|[.!?]+(?=\s|$)/g, " ").trim().split(/\s+/);
    const long = words.filter((word) => word.length >= SHORT && !/\d/.test(word));
    return words.length > SENTENCE && long.length ? long.map((word) => `${word}^1`).join(" ") : words.join(" ");
  };
  const send = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...rest) {
    if (message?.type === QUERY && typeof message.data === "string" && !message.data.includes('"')) {
      message = { ...message, data: plain(message.data) };
    }
    return send.call(this, message, ...rest);
  };
})();
