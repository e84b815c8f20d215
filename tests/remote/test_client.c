/* Endpoints through the library: a server in a thread of this process, and the calls that serve a model of this machine too. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <whisperengine_tools.h>
/* after those that it needs */
#include <cmocka.h>

/* ---- the server ---- */

/* What a reply to a message is; the message itself comes back in it. */
enum behaviour { ECHO, CUT, WAIT };

static struct {
    int fd;
    char address[64];
    pthread_t thread;
    atomic_int behaviour;
    atomic_bool end;
} server;

static void send_text(int fd, const char *text)
{
    size_t length = strlen(text);
    while (length) {
        ssize_t n = send(fd, text, length, 0);
        if (n <= 0)
            return;
        text += n;
        length -= (size_t)n;
    }
}

static void send_event(int fd, const char *json)
{
    char text[4096];
    int n = snprintf(text, sizeof text, "data: %s\n\n", json);
    char chunk[4200];
    snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", (unsigned)n, text);
    send_text(fd, chunk);
}

/* What the user said: the last "content" of the body, or its "prompt". */
static void last_content(const char *body, char out[256])
{
    static const char *const keys[] = {"\"content\": \"", "\"prompt\": \""};
    const char *found = NULL;
    for (size_t i = 0; i < 2 && found == NULL; i++)
        for (const char *p = body; (p = strstr(p, keys[i])) != NULL;)
            found = p += strlen(keys[i]);
    snprintf(out, 256, "%.*s", found ? (int)strcspn(found, "\"") : 0, found ? found : "");
}

static void reply(int fd, const char *body)
{
    char content[256], json[600];
    last_content(body, content);
    send_text(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; content[i]; i++) { /* a letter at a time */
        snprintf(json, sizeof json, "{\"choices\": [{\"index\": 0, \"delta\": {\"content\": \"%c\"}}]}", content[i]);
        send_event(fd, json);
        if (i == 1 && atomic_load(&server.behaviour) == CUT)
            return;
        if (i == 1 && atomic_load(&server.behaviour) == WAIT) {
            char byte;
            while (recv(fd, &byte, 1, 0) > 0) /* until the other side leaves */
                continue;
            return;
        }
    }
    send_event(fd,
               "{\"choices\": [{\"index\": 0, \"delta\": {}, \"finish_reason\": \"stop\"}], \"usage\": {\"prompt_tokens\": 3, "
               "\"completion_tokens\": 7}}");
    send_event(fd, "[DONE]");
    send_text(fd, "0\r\n\r\n");
}

/* One connection, request after request. */
static void *serve_connection(void *context)
{
    int fd = *(int *)context;
    free(context);
    char *text = malloc(1 << 16);
    size_t used = 0;
    for (;;) {
        char *end = NULL;
        size_t length = 0;
        for (;;) {
            text[used] = '\0';
            end = strstr(text, "\r\n\r\n");
            const char *header = strstr(text, "Content-Length: ");
            length = header ? (size_t)atol(header + 16) : 0;
            if (end && used >= (size_t)(end + 4 - text) + length)
                break;
            ssize_t n = used < (1 << 16) - 1 ? recv(fd, text + used, (1 << 16) - 1 - used, 0) : 0;
            if (n <= 0)
                goto done;
            used += (size_t)n;
        }
        if (strncmp(text, "GET ", 4) == 0) {
            const char *list = "{\"data\": [{\"id\": \"org/model\"}]}";
            char answer[256];
            snprintf(answer, sizeof answer,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(list), list);
            send_text(fd, answer);
        } else {
            reply(fd, end + 4);
            if (atomic_load(&server.behaviour) != ECHO)
                goto done;
        }
        used = 0; /* nobody sends the next before the answer */
    }
done:
    free(text);
    shutdown(fd, SHUT_RDWR);
    close(fd);
    return NULL;
}

static void *accept_connections(void *context)
{
    (void)context;
    for (;;) {
        int fd = accept(server.fd, NULL, NULL);
        if (fd < 0 || atomic_load(&server.end)) {
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        int *copy = malloc(sizeof *copy);
        *copy = fd;
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve_connection, copy) == 0)
            pthread_detach(thread);
    }
}

static int start_server(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* the other side may have left */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&address, size) != 0 || listen(server.fd, 64) != 0 ||
        getsockname(server.fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(server.address, sizeof server.address, "http://127.0.0.1:%u/v1", ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, accept_connections, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    atomic_store(&server.end, true);
    shutdown(server.fd, SHUT_RDWR); /* wakes accept */
    pthread_join(server.thread, NULL);
    close(server.fd);
    return 0;
}

static struct we_model *open_model(void)
{
    atomic_store(&server.behaviour, ECHO); /* a test that failed may have left another one */
    struct we_model *model;
    struct we_error error;
    if (we_model_open(server.address, NULL, &model, &error) != WE_OK)
        fail_msg("%s", error.message);
    return model;
}

/* ---- tests ---- */

static bool collect(void *context, const char *text, size_t length)
{
    strncat(context, text, length);
    return true;
}

static void test_reply(void **state)
{
    (void)state;
    struct we_model *model = open_model();
    const struct we_model_info *info = we_model_info(model);
    char path[128], told[256] = "";
    snprintf(path, sizeof path, "%s#org/model", server.address);
    assert_string_equal(info->path, path);
    assert_string_equal(info->endpoint, server.address);
    assert_true(info->has_tokenizer && info->context_length == 0 && info->load_seconds > 0);
    struct we_request request;
    struct we_result result;
    struct we_error error;
    we_request_init(&request, model);
    assert_true(request.sampling.temperature == 0.7f && request.max_tokens == 2048);
    request.text = "Good day";
    request.on_text = collect;
    request.context = told;
    assert_int_equal(we_generate(model, &request, &result, &error), WE_OK);
    assert_string_equal(result.text, "Good day");
    assert_string_equal(told, "Good day");
    assert_true(result.finish_reason == WE_FINISH_STOP && result.tokens == NULL && result.text_length == 8);
    assert_true(result.prompt_tokens == 3 && result.generation_tokens == 7 && result.time_to_first_token > 0);
    we_result_clear(&result);
    const uint32_t ids[] = {1};
    request.text = NULL;
    request.ids = ids;
    request.num_ids = 1;
    assert_int_equal(we_generate(model, &request, &result, &error), WE_UNSUPPORTED);
    we_result_clear(&result);
    struct we_bench_run run;
    struct we_bench_options bench = {1, 1, 1, 1};
    assert_int_equal(we_bench(model, &bench, &run, &error), WE_UNSUPPORTED);
    assert_int_equal(we_logits(model, ids, 1, NULL, NULL, &error), WE_UNSUPPORTED);
    assert_int_equal(we_logits_write(model, ids, 1, "/nonexistent/x", &error), WE_UNSUPPORTED);
    we_model_close(model);
}

static bool count_name(void *context, const char *name)
{
    assert_string_equal(name, "org/model");
    ++*(int *)context;
    return true;
}

static void test_models(void **state)
{
    (void)state;
    struct we_error error;
    int count = 0;
    assert_int_equal(we_endpoint_models(server.address, NULL, count_name, &count, &error), WE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(we_endpoint_models("http://127.0.0.1:1/v1", NULL, count_name, &count, &error), WE_IO_ERROR);
    assert_int_equal(count, 1);
}

static void test_session(void **state)
{
    (void)state;
    struct we_model *model = open_model();
    struct we_session *session;
    struct we_request request;
    struct we_result result;
    struct we_error error;
    const char *json;
    we_request_init(&request, model);
    assert_int_equal(we_session_new(model, &session, &error), WE_OK);
    assert_int_equal(we_session_send(session, "one", &request, &result, &error), WE_OK);
    we_result_clear(&result);
    atomic_store(&server.behaviour, CUT);
    assert_int_equal(we_session_send(session, "two more", &request, &result, &error), WE_IO_ERROR);
    assert_non_null(strstr(error.message, "in the midst of the reply, after 2 bytes"));
    assert_string_equal(result.text, "tw"); /* what came is there */
    we_result_clear(&result);
    atomic_store(&server.behaviour, ECHO);
    assert_int_equal(we_session_send(session, "three", &request, &result, &error), WE_OK);
    we_result_clear(&result);
    assert_int_equal(we_session_messages(session, &json, &error), WE_OK);
    assert_string_equal(json,
                        "{\"messages\": [{\"role\": \"user\", \"content\": \"one\"}, {\"role\": \"assistant\", \"content\": "
                        "\"one\"}, {\"role\": \"user\", \"content\": \"three\"}, {\"role\": \"assistant\", \"content\": "
                        "\"three\"}]}");
    we_session_free(session);
    we_model_close(model);
}

static atomic_size_t heard;

static bool hear(void *context, const char *text, size_t length)
{
    (void)context, (void)text;
    atomic_fetch_add(&heard, length);
    return true;
}

static void *cancel_when_waiting(void *context)
{
    while (atomic_load(&heard) < 2)
        usleep(1000);
    we_session_cancel(context);
    return NULL;
}

static bool stop_at_second(void *context, const char *text, size_t length)
{
    (void)text;
    *(size_t *)context += length;
    return *(size_t *)context < 2;
}

static void test_cancel(void **state)
{
    (void)state;
    struct we_model *model = open_model();
    struct we_session *session;
    struct we_request request;
    struct we_result result;
    struct we_error error;
    pthread_t thread;
    we_request_init(&request, model);
    assert_int_equal(we_session_new(model, &session, &error), WE_OK);
    atomic_store(&server.behaviour, WAIT);
    request.on_text = hear;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_waiting, session), 0);
    assert_int_equal(we_session_send(session, "endless", &request, &result, &error), WE_OK);
    assert_true(result.finish_reason == WE_FINISH_CANCELLED);
    assert_string_equal(result.text, "en");
    we_result_clear(&result);
    pthread_join(thread, NULL);
    atomic_store(&server.behaviour, ECHO);
    size_t seen = 0; /* the other way to stop */
    request.on_text = stop_at_second;
    request.context = &seen;
    assert_int_equal(we_session_send(session, "endless", &request, &result, &error), WE_OK);
    assert_true(result.finish_reason == WE_FINISH_CANCELLED);
    assert_string_equal(result.text, "en");
    we_result_clear(&result);
    we_session_free(session);
    we_model_close(model);
}

enum { THREADS = 6, TURNS = 10 };

static void *talk(void *context)
{
    struct we_model *model = context;
    static atomic_int number;
    struct we_session *session;
    struct we_request request;
    struct we_error error;
    char text[64];
    int mine = atomic_fetch_add(&number, 1);
    bool ok = we_session_new(model, &session, &error) == WE_OK;
    we_request_init(&request, model);
    for (int turn = 0; ok && turn < TURNS; turn++) {
        struct we_result result;
        snprintf(text, sizeof text, "thread %d says %d", mine, turn);
        ok = we_session_send(session, text, &request, &result, &error) == WE_OK && strcmp(result.text, text) == 0;
        we_result_clear(&result);
    }
    we_session_free(session);
    return ok ? NULL : session;
}

/* Each gets the reply to its own message, over connections that are kept. */
static void test_threads(void **state)
{
    (void)state;
    struct we_model *model = open_model();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, talk, model), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    we_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply),  cmocka_unit_test(test_models),  cmocka_unit_test(test_session),
        cmocka_unit_test(test_cancel), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("client", tests, start_server, stop_server);
}
