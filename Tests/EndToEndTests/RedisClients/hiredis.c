// Runs every verb through hiredis: RESP2, and RESP3 if this hiredis can read it.
//
// usage: hiredis-client PORT
#include <hiredis/hiredis.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

enum { wordCountMax = 8, textBytesMax = 1 << 16, pipelinedCount = 1000, idCount = 262, verbCountMax = 64 };

typedef struct {
    const char *bytes;
    size_t count;
} Word;

// A request, and its reply as `render` writes it in RESP3. Without a reply, everything but an error is right.
typedef struct {
    const char *expected;
    Word words[wordCountMax];
} Exchange;

#define W(literal) { literal, sizeof(literal) - 1 }
#define RAW_VECTOR W("\0\0\x80\x3F\0\0\0\x3F")  // 1 and 0.5

static const Exchange exchanges[] = {
    { "+PONG", { W("PING") } },
    { "'\\x00\\x0D\\x0A'", { W("PING"), W("\0\r\n") } },
    { "'\\x00\\x0D\\x0A'", { W("ECHO"), W("\0\r\n") } },
    { "+OK", { W("SELECT"), W("0") } },
    { "+OK", { W("CREATE"), W("c"), W("dim=2") } },
    { "+OK", { W("CREATE"), W("d"), W("like=c") } },
    { "+OK", { W("PUT"), W("c"), W("a b"), W("[1,0.5]"), W("{\"x\": [1,\n2]}") } },
    { "+OK", { W("PUT"), W("c"), W("raw"), RAW_VECTOR } },
    { "+OK", { W("PUT"), W("c"), W("64"), W("f32:AACAPwAAAD8=") } },
    { "[['a b' '[1,0.5]'] ['raw' '[1,0.5]'] ['64' '[1,0.5]'] ['none' _]]",
      { W("GET"), W("c"), W("a b"), W("raw"), W("64"), W("none") } },
    { "[['a b' '{\"x\":[1,2]}'] ['raw' _]]", { W("FGET"), W("c"), W("a b"), W("raw") } },
    { "+OK", { W("FSET"), W("c"), W("raw"), W("merge=true"), W("{\"y\":1}") } },
    { "[['raw' '{\"y\":1}']]", { W("FGET"), W("c"), W("fields=y"), W("raw") } },
    { "[['64' #t] ['none' #f]]", { W("DEL"), W("c"), W("64"), W("none") } },
    { "[[:0 'a b']]", { W("SCAN"), W("c"), W("limit=1") } },
    { "+OK", { W("OBSERVE"), W("c"), W("1"), W("raw"), W("raw") } },
    { "[['raw' ,0 'seen']]",
      { W("OBSERVE"), W("c"), W("2"), W("seq=w:1"), W("return=logq"), W("unit=p"), W("--"), W("raw") } },
    { "[]", { W("OBSERVE"), W("c"), W("3"), W("full=skip"), W("raw") } },
    { "[['raw' ,0 'seen']]", { W("LOGQ"), W("c"), W("unit=p"), W("raw") } },
    { "[['none' {'q' ,0.125 'p' ,0.16666666666666666 'expected' _ 'gap' _ 'count' ,0 'last' _ 'state' 'unseen'}]]",
      { W("FREQ"), W("c"), W("none") } },
    { "+OK", { W("FREQSET"), W("c"), W("4"), W("raw"), W("2"), W("-") } },
    { "[['raw' ,4 :4]]", { W("POPULAR"), W("c"), W("1") } },
    { "+OK", { W("CLOCKSET"), W("c"), W("3") } },
    { "[['a b' ,1 :1 '[1,0.5]' '{\"x\":[1,2]}']]",
      { W("TOPK"), W("c"), W("1"), W("with=rank,vector,features"), W("[1,0]") } },
    { "[]", { W("TOPK"), W("c"), W("9"), W("except=a%20b"), W("like=raw") } },
    { "[['a b' ,1.25] ['none' _]]", { W("SCORE"), W("c"), RAW_VECTOR, W("a b"), W("none") } },
    { "[['raw' ,1 ,1]]", { W("SAMPLE"), W("c"), W("1"), W("except=a%20b") } },
    { "+OK", { W("SWAP"), W("c"), W("d") } },
    { "[['raw' _]]", { W("GET"), W("c"), W("raw") } },
    { "+OK", { W("DROP"), W("c") } },
    { NULL, { W("COLLECTIONS") } },
    { NULL, { W("CLOCK"), W("d") } },
    { NULL, { W("INFO") } },
    { NULL, { W("HELP") } },
    { "+OK", { W("CLIENT"), W("SETNAME"), W("me") } },
    { "'me'", { W("CLIENT"), W("GETNAME") } },
    { NULL, { W("CLIENT"), W("ID") } },
    { NULL, { W("CLIENT"), W("LIST") } },
    { ":30", { W("COMMAND"), W("COUNT") } },
    { "-UNKNOWN", { W("SET"), W("a"), W("b") } },
    { "-NOCOLLECTION", { W("GET"), W("nowhere"), W("a") } },
    { "-DIM", { W("PUT"), W("d"), W("a"), W("[1]") } },
    { "-BADREQUEST", { W("SELECT"), W("1") } },
    { "-BADID", { W("GET"), W("d"), W("") } },
};

static redisContext *context;
// The connection's version of RESP.
static int protocolVersion = 2;
// The verbs that were sent.
static char sentVerbs[verbCountMax][32];
static size_t sentVerbCount = 0;

static void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

// MARK: Replies as text

typedef struct {
    char bytes[textBytesMax];
    size_t count;
} Text;

static void append(Text *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = vsnprintf(text->bytes + text->count, textBytesMax - text->count, format, values);
    va_end(values);
    if (count < 0 || (size_t)count >= textBytesMax - text->count) fail("a reply has over %d bytes", textBytesMax);
    text->count += (size_t)count;
}

static void appendString(Text *text, const char *bytes, size_t count) {
    append(text, "'");
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool isPlain = byte >= 0x20 && byte < 0x7F && byte != '\'' && byte != '\\';
        append(text, isPlain ? "%c" : "\\x%02X", byte);
    }
    append(text, "'");
}

static void render(Text *text, const redisReply *reply);

static void appendElements(Text *text, const redisReply *reply, const char *brackets) {
    append(text, "%c", brackets[0]);
    for (size_t i = 0; i < reply->elements; i++) {
        if (i > 0) append(text, " ");
        render(text, reply->element[i]);
    }
    append(text, "%c", brackets[1]);
}

// Writes +status, -CODE, 'bulk string', :integer, ,number, #t, #f, _ (null), [array] or {map}.
static void render(Text *text, const redisReply *reply) {
    switch (reply->type) {
    case REDIS_REPLY_STATUS: append(text, "+%s", reply->str); break;
    case REDIS_REPLY_ERROR: append(text, "-%.*s", (int)strcspn(reply->str, " "), reply->str); break;
    case REDIS_REPLY_STRING: appendString(text, reply->str, (size_t)reply->len); break;
    case REDIS_REPLY_INTEGER: append(text, ":%lld", reply->integer); break;
    case REDIS_REPLY_NIL: append(text, "_"); break;
    case REDIS_REPLY_ARRAY: appendElements(text, reply, "[]"); break;
#if HIREDIS_MAJOR >= 1
    case REDIS_REPLY_DOUBLE: append(text, ",%s", reply->str); break;
    case REDIS_REPLY_BOOL: append(text, reply->integer ? "#t" : "#f"); break;
    case REDIS_REPLY_MAP: appendElements(text, reply, "{}"); break;
#endif
    default: fail("got a reply of the type %d, expected one that PROTOCOL.md lists", reply->type);
    }
}

// What the reply `expected` of RESP3 is in RESP2: `,1` → `'1'`, `#t` → `:1`, `{` → `[`.
static void convertToRESP2(Text *text, const char *expected) {
    bool isInString = false;
    for (const char *next = expected; *next != 0; next++) {
        if (*next == '\'') isInString = !isInString;
        if (isInString) {
            append(text, "%c", *next);
        } else if (*next == ',') {
            size_t count = strcspn(next + 1, " ]}");
            appendString(text, next + 1, count);
            next += count;
        } else if (*next == '#') {
            append(text, ":%d", *++next == 't');
        } else {
            append(text, "%c", *next == '{' ? '[' : *next == '}' ? ']' : *next);
        }
    }
}

// MARK: Requests

static redisReply *checked(void *reply) {
    if (reply == NULL) fail("got no reply: %s", context->errstr);
    return reply;
}

// Notes the verb, and queues the request.
static void send(const Word *words, int count) {
    const char *arguments[wordCountMax + idCount];
    size_t lengths[wordCountMax + idCount];
    for (int i = 0; i < count; i++) {
        arguments[i] = words[i].bytes;
        lengths[i] = words[i].count;
    }
    bool isNew = true;
    for (size_t i = 0; i < sentVerbCount; i++) isNew = isNew && strcmp(sentVerbs[i], words[0].bytes) != 0;
    if (isNew) {
        if (sentVerbCount == verbCountMax) fail("more than %d verbs were sent", verbCountMax);
        snprintf(sentVerbs[sentVerbCount++], sizeof sentVerbs[0], "%s", words[0].bytes);
    }
    if (redisAppendCommandArgv(context, count, arguments, lengths) != REDIS_OK) fail("send: %s", context->errstr);
}

static redisReply *receive(void) {
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK) fail("got no reply: %s", context->errstr);
    return checked(reply);
}

static void check(const Exchange *exchange, const redisReply *reply) {
    static Text got, expected;
    got.count = expected.count = 0;
    const char *verb = exchange->words[0].bytes;
    if (exchange->expected == NULL) {
        if (reply->type == REDIS_REPLY_ERROR) fail("%s: got '%s', expected a reply", verb, reply->str);
        return;
    }
    render(&got, reply);
    if (protocolVersion == 2) {
        convertToRESP2(&expected, exchange->expected);
    } else {
        append(&expected, "%s", exchange->expected);
    }
    if (strcmp(got.bytes, expected.bytes) != 0) fail("%s: got %s, expected %s", verb, got.bytes, expected.bytes);
}

static int wordCount(const Exchange *exchange) {
    int count = 0;
    while (count < wordCountMax && exchange->words[count].bytes != NULL) count++;
    return count;
}

static void run(const Exchange *exchange) {
    send(exchange->words, wordCount(exchange));
    redisReply *reply = receive();
    check(exchange, reply);
    freeReplyObject(reply);
}

// MARK: The checks

static void runAllExchanges(bool isPipelined) {
    const size_t count = sizeof exchanges / sizeof exchanges[0];
    for (size_t i = 0; i < count; i++) {
        if (isPipelined) send(exchanges[i].words, wordCount(&exchanges[i]));
        else run(&exchanges[i]);
    }
    for (size_t i = 0; isPipelined && i < count; i++) {
        redisReply *reply = receive();
        check(&exchanges[i], reply);
        freeReplyObject(reply);
    }
}

// Fills `ids` with ids of each byte, and with ids that look like something else.
static void makeIDs(Word ids[idCount]) {
    static char bytes[256], longest[255];
    static const Word others[] = { W("\r\n$1\r\n"), W("a b"), W("%41"), W("seq=w:1"), W("--"), { longest, 255 } };
    memset(longest, 0xFF, sizeof longest);
    for (int byte = 0; byte < 256; byte++) {
        bytes[byte] = (char)byte;
        ids[byte] = (Word){ &bytes[byte], 1 };
    }
    memcpy(&ids[256], others, sizeof others);
}

// Writes a thousand raw vectors in one pipeline, and reads all ids at its end.
static void runPipeline(void) {
    static Word ids[idCount];
    static float vectors[idCount][2];
    static const Exchange ok = { "+OK", { W("PUT") } };
    makeIDs(ids);
    for (int i = 0; i < pipelinedCount; i++) {
        int id = i % idCount;
        vectors[id][0] = (float)(id + 1);
        vectors[id][1] = (float)-id;
        const Word put[] = { W("PUT"), W("d"), ids[id], { (const char *)vectors[id], sizeof vectors[id] } };
        send(put, 4);
    }
    Word get[3 + idCount] = { W("GET"), W("d"), W("--") };
    memcpy(&get[3], ids, sizeof ids);
    send(get, 3 + idCount);
    for (int i = 0; i < pipelinedCount; i++) {
        redisReply *reply = receive();
        check(&ok, reply);
        freeReplyObject(reply);
    }
    redisReply *rows = receive();
    if (rows->type != REDIS_REPLY_ARRAY || rows->elements != idCount) fail("GET: expected %d rows", idCount);
    for (int i = 0; i < idCount; i++) {
        redisReply **row = rows->element[i]->element;
        bool hasTwo = rows->element[i]->type == REDIS_REPLY_ARRAY && rows->element[i]->elements == 2;
        if (!hasTwo || (size_t)row[0]->len != ids[i].count || memcmp(row[0]->str, ids[i].bytes, ids[i].count) != 0) {
            fail("GET: row %d is not the row of id %d", i, i);
        }
        if (row[1]->type != REDIS_REPLY_STRING || row[1]->len != 8 || memcmp(row[1]->str, vectors[i], 8) != 0) {
            fail("GET: the vector of id %d is wrong", i);
        }
    }
    freeReplyObject(rows);
}

// Checks that each verb that the daemon names was sent.
static void checkVerbs(const redisReply *list) {
    if (list->type != REDIS_REPLY_ARRAY || list->elements != 30) fail("COMMAND LIST: expected 30 verbs");
    for (size_t i = 0; i < list->elements; i++) {
        bool wasSent = false;
        for (size_t j = 0; j < sentVerbCount; j++) {
            wasSent = wasSent || strcasecmp(sentVerbs[j], list->element[i]->str) == 0;
        }
        if (!wasSent) fail("the verb %s was not tried", list->element[i]->str);
    }
}

static void runVersion(int version, int port) {
    const Word versionWord = version == 2 ? (Word)W("2") : (Word)W("3");
    const Exchange hello = { NULL, { W("HELLO"), versionWord } };
    const Exchange helloRaw = { NULL, { W("HELLO"), versionWord, W("vectors=raw") } };
    const Word list[] = { W("COMMAND"), W("LIST") };
    static const Exchange drop = { "+OK", { W("DROP"), W("d") } };
    static const Exchange reset = { "+RESET", { W("RESET") } }, quit = { "+OK", { W("QUIT") } };
    context = redisConnect("127.0.0.1", port);
    if (context == NULL || context->err) fail("connect: %s", context == NULL ? "no memory" : context->errstr);
    redisSetTimeout(context, (struct timeval){ .tv_sec = 60 });
    protocolVersion = version;
    sentVerbCount = 0;
    for (int isPipelined = 0; isPipelined < 2; isPipelined++) {
        run(&hello);
        runAllExchanges(isPipelined);
        run(&helloRaw);
        runPipeline();
        run(&drop);
        run(&reset);
    }
    send(list, 2);
    redisReply *verbs = receive();
    run(&quit);
    checkVerbs(verbs);
    freeReplyObject(verbs);
    void *none = NULL;
    bool hasEnded = redisGetReply(context, &none) == REDIS_ERR && context->err == REDIS_ERR_EOF;
    if (!hasEnded) fail("QUIT: got an open connection, expected its end");
    redisFree(context);
    printf("RESP%d with hiredis %d.%d: all replies are right\n", version, HIREDIS_MAJOR, HIREDIS_MINOR);
}

int main(int argumentCount, char **arguments) {
    if (argumentCount != 2) fail("usage: hiredis-client PORT");
    runVersion(2, atoi(arguments[1]));
    if (HIREDIS_MAJOR >= 1) {
        runVersion(3, atoi(arguments[1]));
    } else {
        printf("RESP3 with hiredis %d.%d: NOT TRIED, because it cannot read RESP3\n", HIREDIS_MAJOR, HIREDIS_MINOR);
    }
}
