/* Asks a model one thing and prints the reply as it comes.
 *     cc stream.c $(pkg-config --cflags --libs whisperengine) -o stream
 *     ./stream HuggingFaceTB/SmolLM2-135M-Instruct-4bit 'What is the capital of France?' */
#include <whisperengine.h>

#include <stdio.h>

static bool print(void *context, const char *text, size_t length)
{
    FILE *out = (FILE *)context;
    fwrite(text, 1, length, out);
    return fflush(out) == 0; /* false stops the reply */
}

int main(int argc, char **argv)
{
    struct we_error error;
    struct we_model *model = NULL;
    struct we_session *session = NULL;
    struct we_request request;
    struct we_result result;
    if (argc != 3) {
        fprintf(stderr, "Usage: %s MODEL PROMPT\n", argv[0]);
        return 2;
    }
    we_status status = we_model_open(argv[1], NULL, &model, &error);
    if (status == WE_OK)
        status = we_session_new(model, &session, &error);
    if (status == WE_OK) {
        we_request_init(&request, model);
        request.on_text = print;
        request.context = stdout;
        status = we_session_send(session, argv[2], &request, &result, &error);
        we_result_clear(&result);
    }
    if (status == WE_OK)
        printf("\n");
    else
        fprintf(stderr, "%s\n", error.message);
    we_session_free(session);
    we_model_close(model);
    return status == WE_OK ? 0 : 1;
}
