/* The page of the character prompt, which new chats begin with: BOT_SYSTEM_PROMPT_FILE. It is edited, taken from a preset or a
 * file, counted in characters and in tokens of the model that is loaded, and saved. */
#ifndef WE_DESKTOP_CHARACTER_PAGE_H
#define WE_DESKTOP_CHARACTER_PAGE_H

#include "application.h"

#define WE_TYPE_CHARACTER_PAGE (we_character_page_get_type())
G_DECLARE_FINAL_TYPE(WeCharacterPage, we_character_page, WE, CHARACTER_PAGE, GtkWidget)

GtkWidget *we_character_page_new(WeApplication *application);
/* Text that is not saved would be lost. */
gboolean we_character_page_is_changed(WeCharacterPage *page);
/* The file's text, or why it cannot be read; what is not saved is lost. */
void we_character_page_read_file(WeCharacterPage *page, const char *path);

#endif
