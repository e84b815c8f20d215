/* Where a message is written: Enter sends, Shift+Enter breaks the line; the button stops a reply while there is one.
 *
 * Signals: "send" (const char *text): the person sends; the text stays until we_composer_set_text. "stop". "edited": the text
 * is another one. */
#ifndef WE_DESKTOP_COMPOSER_H
#define WE_DESKTOP_COMPOSER_H

#include <adwaita.h>

enum we_composer_mode {
    WE_COMPOSER_READY,
    WE_COMPOSER_REPLYING, /* the button stops the reply */
    WE_COMPOSER_WAITING   /* one can write, but not send: no model, or another conversation is answered */
};

#define WE_TYPE_COMPOSER (we_composer_get_type())
G_DECLARE_FINAL_TYPE(WeComposer, we_composer, WE, COMPOSER, GtkWidget)

GtkWidget *we_composer_new(void);
/* why: the tooltip of the button in WE_COMPOSER_WAITING. */
void we_composer_set_mode(WeComposer *composer, enum we_composer_mode mode, const char *why);
void we_composer_set_text(WeComposer *composer, const char *text);
char *we_composer_text(WeComposer *composer); /* the caller's (g_free) */
void we_composer_focus(WeComposer *composer);

#endif
